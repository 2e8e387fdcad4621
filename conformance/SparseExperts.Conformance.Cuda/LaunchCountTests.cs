using SparseExperts.Autograd;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Profiling;
using SparseExperts.Routing;
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
        using var backend = new CountingBackend(new CudaBackend(driver, graphs: false));
        List<Launched> launches = [];
        var trainer = new Trainer(backend, named.Model, named.Training);
        for (var step = 0; step < 2; step++) trainer.Train(Text, 0.1, details: false);
        driver.Launched = kernel => launches.Add(new(backend.Site.Path, backend.Site.Op, backend.Site.Activity, kernel));
        trainer.Train(Text, 0.1, details: false);
        return launches;
    }

    /// <summary>What was reached; who fuses more lowers it.</summary>
    const int MostOfStep = 136, MostOfSparseLayer = 20;

    [Fact]
    public void A_step_of_the_default_preset()
    {
        var launches = OfStep("default");
        foreach (var part in launches.GroupBy(l => l.Part).OrderBy(g => g.Key))
        {
            output.WriteLine($"{part.Key}: {part.Count()}");
            foreach (var op in part.GroupBy(l => (l.Op, l.Activity)))
                output.WriteLine($"    {op.Key.Op} {op.Key.Activity}: {string.Join(' ', op.Select(l => l.Kernel))}");
        }
        var layer = launches.Count(l => l.Part is "blocks.1.router" or "blocks.1.experts" or "blocks.1.losses");
        output.WriteLine($"{launches.Count} launches, {layer} of a sparse layer");
        Assert.True(launches.Count <= MostOfStep && layer <= MostOfSparseLayer, $"{launches.Count} launches, {layer} of a sparse layer");
    }

    /// <summary>What the device is given in a steady step that goes ahead of it: the batch, and one graph.</summary>
    [Theory]
    [InlineData("mesh.switch")]
    [InlineData("lingvo.top2")]
    [InlineData("hf.mixtral")]
    [InlineData("hf.deepseek_v3")]
    [InlineData("megatron.topk")]
    [InlineData("zhou.expert_choice")]
    [InlineData("flax.tokens_choose_scatter")]
    public void A_step_is_one_graph(string dialect)
    {
        var named = Presets.Find("default");
        var model = (ModelConfig)named.Model with { Dialect = BuiltIn.Named(dialect) };
        using var driver = new SilentDriver();
        using var backend = new CudaBackend(driver);
        List<string> launches = [];
        var trainer = new Trainer(backend, model, named.Training);
        var batches = new ByteBatches(Text, named.Training.Seed, named.Training.Batch, model);
        for (var step = 0; step < 4; step++)
        {
            driver.Launched = step == 3 ? launches.Add : _ => { };
            trainer.Advance(batches, 0.1);
        }
        Assert.Equal(["graph"], launches);
    }

    /// <summary>Indices that stay as they are, of a constant or of the batch, are looked at once, and again after a fault was taken.</summary>
    [Fact]
    public void Indices_are_looked_at_when_they_are_new()
    {
        using var driver = new SilentDriver();
        using var backend = new CudaBackend(driver);
        var looks = 0;
        driver.Launched = kernel => looks += kernel == "find_fault" ? 1 : 0;
        Matrix x = backend.Rent(5, 3), y = backend.Rent(4, 3);
        var rows = backend.Upload([0, 1, 2, 3]);
        for (var repeat = 0; repeat < 3; repeat++) backend.GatherRows(x, rows, y, false);
        Assert.Equal(1, looks);
        backend.GatherRows(x.RowRange(0, 4), rows, y, false);            // another rule
        Assert.Equal(2, looks);
        backend.Write(rows.Storage, 0, [3, 2, 1, 0]);
        backend.GatherRows(x, rows, y, false);
        Assert.Equal(3, looks);
    }

    /// <summary>Who takes a fault hears of the same index again from the next op that meets it.</summary>
    [Fact]
    public void A_fault_that_was_taken_is_met_again()
    {
        using var backend = new CudaBackend(new EmulatedDriver(CudaFixture.Large));
        Matrix x = backend.Rent(5, 3), y = backend.Rent(4, 3);
        backend.Fill(x, 1);
        var rows = backend.Upload([0, 1, 9, 3]);
        for (var repeat = 0; repeat < 2; repeat++)
        {
            backend.GatherRows(x, rows, y, false);
            Assert.Equal(new(new("GatherRows", 5, -1), 2, 9), backend.TakeFault());
            Assert.Null(backend.TakeFault());
        }
    }
}
