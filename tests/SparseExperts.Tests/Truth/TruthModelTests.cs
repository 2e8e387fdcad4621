using SparseExperts.Checking;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>Recordings of whole models by the libraries: block by block, gradients, steps of training, decoding.</summary>
public sealed class TruthModelTests
{
    const string Part = "checkpoints";

    static readonly CheckBackends Backends = new(() => new ScalarBackend<Tracked>(), () => new ScalarBackend<Float64>(), () => new ScalarBackend<Disturbed>());

    public static TheoryData<string> Activations => Recordings("io*.safetensors");
    public static TheoryData<string> Gradients => Recordings("grads.safetensors");
    public static TheoryData<string> Trainings => Recordings("train.safetensors");
    public static TheoryData<string> Generations => Recordings("generation.safetensors");

    /// <summary>Beside a checkpoint that this program reads.</summary>
    static TheoryData<string> Recordings(string pattern) =>
        [.. TruthFolder.Files(Part, pattern).Where(file => IsKnown(Path.GetDirectoryName(file)!)).Select(file => TruthFolder.Short(Part, file))];

    static bool IsKnown(string folder)
    {
        try
        {
            return File.Exists(Path.Combine(folder, "config.json")) && HubConfig.Load(folder) is HubDecoder or HubSwitch;
        }
        catch (InvalidFileException)
        {
            return false;       // a model that this program refuses by name
        }
    }

    static string At(string recording) => Path.Combine(TruthFolder.Part(Part), recording);

    static void Agrees(string recording, Func<HubFolder, ModelVerdict> check)
    {
        using var folder = HubFolder.Load(Path.GetDirectoryName(At(recording))!);
        var verdict = check(folder);
        Assert.True(verdict.Outcome == Outcome.Agrees, $"{verdict.First?.Name ?? "undecided"}: {verdict.First?.Worst} {verdict.Cause}");
        Assert.Contains(verdict.Blocks, b => b.Outcome == Outcome.Agrees);
    }

    [Theory, MemberData(nameof(Activations))]
    public void Every_block_computes_what_was_recorded(string recording) =>
        Agrees(recording, folder => CheckedModels.Activations(folder, Recording.Load(At(recording)), Backends));

    [Theory, MemberData(nameof(Gradients))]
    public void Every_gradient_is_the_recorded_one(string recording) => Agrees(recording, folder => GradientCheck.Run(folder, At(recording), null, Backends));

    [Theory, MemberData(nameof(Trainings))]
    public void Ten_steps_lead_to_the_recorded_parameters(string recording) =>
        Agrees(recording, folder => TrainingCheck.Run(folder, Recording.Load(At(recording)), Backends));

    [Theory, MemberData(nameof(Generations))]
    public void Decoding_takes_the_recorded_tokens(string recording) =>
        Agrees(recording, folder => CheckedModels.Generation(folder, Recording.Load(At(recording)), Backends));
}
