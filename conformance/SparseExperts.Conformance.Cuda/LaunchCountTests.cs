using SparseExperts.Autograd;
using SparseExperts.Cuda;
using SparseExperts.Data;
using SparseExperts.Profiling;
using SparseExperts.Runs;
using SparseExperts.Training;
using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Conformance.Cuda;

/// <summary>How many launches a steady training step is, at its true size: small models wait for launches and not for arithmetic.</summary>
public sealed class LaunchCountTests(ITestOutputHelper output)
{
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 90000).Select(i => (byte)(i * i / 7 % 97))], 128);

    /// <summary>Where a launch of the third step came from.</summary>
    sealed record Launched(string Part, string Op, Activity Activity, string Kernel);

    static List<Launched> OfStep(string preset)
    {
        var named = Presets.Find(preset);
        using var driver = new SilentDriver();
        using var backend = new CountingBackend(new OneByOne(new CudaBackend(driver)));
        List<Launched> launches = [];
        var trainer = new Trainer(backend, named.Model, named.Training);
        for (var step = 0; step < 2; step++) trainer.Train(Text, 0.1, details: false);
        driver.Launched = kernel => launches.Add(new(backend.Site.Path, backend.Site.Op, backend.Site.Activity, kernel));
        trainer.Train(Text, 0.1, details: false);
        return launches;
    }

    [Fact]
    public void A_step_of_the_default_preset()
    {
        var launches = OfStep("default");
        foreach (var part in launches.GroupBy(l => l.Part).OrderBy(g => g.Key))
        {
            output.WriteLine($"{part.Key}: {part.Count()}");
            foreach (var op in part.GroupBy(l => (l.Op, l.Activity))) output.WriteLine($"    {op.Key.Op} {op.Key.Activity}: {string.Join(' ', op.Select(l => l.Kernel))}");
        }
        output.WriteLine($"{launches.Count} launches");
    }
}
