using System.Text.Json.Nodes;
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

    /// <summary>Faults that somebody planted in a model before it was recorded; expected.json names the checkpoint, the block and the cause.</summary>
    public static TheoryData<string> Faults =>
        [.. TruthFolder.Files(Part, "expected.json").SelectMany(Planted).Where(f => f.IsThere && IsKnown(f.Checkpoint)).Select(f => f.Name)];

    [Theory, MemberData(nameof(Faults))]
    public void A_planted_fault_is_found_and_named(string name)
    {
        var fault = TruthFolder.Files(Part, "expected.json").SelectMany(Planted).First(f => f.Name == name);
        using var folder = HubFolder.Load(fault.Checkpoint);
        var verdict = CheckedModels.Activations(folder, Recording.Load(fault.Recording), Backends);
        Assert.Equal(fault.First, verdict.First?.Name);
        Assert.Equal(fault.First is null ? null : fault.Cause, verdict.Cause);
    }

    sealed record PlantedFault(string Name, string Recording, string Checkpoint, string? First, string Cause)
    {
        public bool IsThere => File.Exists(Recording);
    }

    static IEnumerable<PlantedFault> Planted(string expected)
    {
        var folder = Path.GetDirectoryName(expected)!;
        foreach (var (name, value) in JsonNode.Parse(File.ReadAllText(expected))!.AsObject())
            yield return new(name, Path.Combine(folder, name, "io.safetensors"), Path.Combine(folder, (string)value!["checkpoint"]!), (string?)value["first"],
                (string)value["cause"]!);
    }

    [Theory, MemberData(nameof(Gradients))]
    public void Every_gradient_is_the_recorded_one(string recording) => Agrees(recording, folder => GradientCheck.Run(folder, At(recording), null, Backends));

    /// <summary>A library that holds all experts in one tensor records their gradients so, whatever the checkpoint's names are.</summary>
    [Theory]
    [InlineData("mixtral-tiny", "block_sparse_moe.experts", "w1", "w3", "w2")]
    [InlineData("deepseek_v3-tiny", "mlp.experts", "gate_proj", "up_proj", "down_proj")]
    public void Gradients_of_experts_in_one_tensor_are_found(string checkpoint, string experts, string gate, string up, string down)
    {
        using var folder = HubFolder.Load(At(Path.Combine("language-models", checkpoint)));
        var recording = Recording.Load(At(Path.Combine("language-models", checkpoint, "grads.safetensors")));
        var count = folder.Config.Experts;
        var gates = recording.Names.Where(n => n.EndsWith($".{experts}.0.{gate}.weight", StringComparison.Ordinal));
        var layers = gates.Select(n => n.Split($".{experts}.")[0]).ToArray();
        CaseTensor Of(string layer, int e, string part) => recording.Get($"{layer}.{experts}.{e}.{part}.weight");
        CaseTensor Packed(string name, CaseTensor[] parts, long[] shape) => new(name, "F32", shape, [.. parts.SelectMany(p => p.Values)]);
        var packed = layers.SelectMany(layer =>
        {
            var first = Of(layer, 0, gate).Shape;
            CaseTensor[] both = [.. Enumerable.Range(0, count).SelectMany(e => new[] { Of(layer, e, gate), Of(layer, e, up) })];
            CaseTensor[] last = [.. Enumerable.Range(0, count).Select(e => Of(layer, e, down))];
            return new[]
            {
                Packed($"{layer}.{experts}.gate_up_proj", both, [count, 2 * first[0], first[1]]),
                Packed($"{layer}.{experts}.down_proj", last, [count, first[1], first[0]]),
            };
        }).ToArray();
        var others = recording.Names.Where(n => !n.Contains($".{experts}.", StringComparison.Ordinal)).Select(recording.Get);
        Assert.NotEmpty(packed);
        var verdict = GradientCheck.Run(folder, Recording.Of(recording.Path, [.. others, .. packed]), null, Backends);
        Assert.Equal(Outcome.Agrees, verdict.Outcome);
        var judged = verdict.Blocks.Select(b => b.Name).Where(n => n.Contains($".{experts}.", StringComparison.Ordinal));
        Assert.Equal(packed.Select(p => p.Name).Order(StringComparer.Ordinal), judged);
    }

    [Theory, MemberData(nameof(Trainings))]
    public void Ten_steps_lead_to_the_recorded_parameters(string recording) =>
        Agrees(recording, folder => TrainingCheck.Run(folder, Recording.Load(At(recording)), Backends));

    [Theory, MemberData(nameof(Generations))]
    public void Decoding_takes_the_recorded_tokens(string recording) =>
        Agrees(recording, folder => CheckedModels.Generation(folder, Recording.Load(At(recording)), Backends));
}
