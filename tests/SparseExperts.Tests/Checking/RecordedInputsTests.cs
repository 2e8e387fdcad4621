using SparseExperts.Checking;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Oracle;
using SparseExperts.Scalar;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.Checking;

/// <summary>A recording that leaves little to compare is refused, or what was left out is said: it does not agree in silence.</summary>
public sealed class RecordedInputsTests
{
    static readonly CheckBackends Backends = new(() => new ScalarBackend<Tracked>(), () => new ScalarBackend<Float64>(), () => new ScalarBackend<Disturbed>());

    /// <summary>With numbers of a tensor changed.</summary>
    static Recording With(Recording recording, string name, Func<double, double> change) =>
        recording.With(recording.Get(name) with { Values = Array.ConvertAll(recording.Get(name).Values, x => change(x)) });

    /// <summary>All of it, under other names where <paramref name="name"/> gives them.</summary>
    static Recording Named(Recording recording, Func<string, string?> name) =>
        Recording.Of(
            recording.Path, recording.Names.Where(n => name(n) is not null).Select(n => recording.Get(n) with { Name = name(n)! }), recording.Producer);

    static ModelVerdict Check(Recording recording)
    {
        using var folder = HubFolder.Load(Path.GetDirectoryName(recording.Path)!);
        return CheckedModels.Activations(folder, recording, Backends);
    }

    static void Refused(Func<ModelVerdict> check, string expected) =>
        Assert.Contains(expected, Assert.Throws<InvalidFileException>(check).Message, StringComparison.Ordinal);

    [Fact]
    public void Inputs_that_are_none_of_the_model_are_refused()
    {
        var recording = Recording.Load(Path.Combine(TruthFolder.Part("checkpoints"), "language-models", "mixtral-tiny", "io.safetensors"));
        Refused(() => Check(With(recording, "input_ids", id => id + 5000)), "; the model has ");
        Refused(() => Check(With(recording, "input_ids", _ => -1)), "input_ids[0] is -1; the model has ");
        Refused(() => Check(With(recording, "attention_mask", _ => 0)), "attention_mask is 0 everywhere");
        var positions = recording.Get("input_ids") with { Name = "position_ids" };
        Refused(() => Check(With(recording.With(positions), "position_ids", _ => 1e9)), "position_ids[0] is 1000000000; float32 knows whole numbers up to");
    }

    [Fact]
    public void What_was_not_recorded_and_what_nothing_was_compared_with_is_named()
    {
        const string one = "block.layers.1.mlp.out";
        var recording = TruthFolder.Files("checkpoints", "io*.safetensors").Select(Recording.Load).First(r => r.Has(one));
        var other = Check(Named(recording, n => n == one ? one + "put" : n));
        Assert.Equal([one], other.NotRecorded);
        Assert.Equal([one + "put"], other.NotCompared);
        Assert.Empty(Check(recording).NotCompared);
        Assert.Equal(["foo"], Check(recording.With(recording.Get("logits") with { Name = "foo" })).NotCompared);
    }

    [Fact]
    public void Gradients_that_were_not_recorded_are_named()
    {
        var path = Path.Combine(TruthFolder.Part("checkpoints"), "language-models", "mixtral-tiny", "grads.safetensors");
        if (!File.Exists(path)) path = TruthFolder.Files("checkpoints", "grads.safetensors").First();
        using var folder = HubFolder.Load(Path.GetDirectoryName(path)!);
        var recording = Recording.Load(path);
        var lost = recording.Names.First(n => n.StartsWith("grad.", StringComparison.Ordinal));
        Assert.Equal([lost], GradientCheck.Run(folder, Named(recording, n => n == lost ? null : n), null, Backends).NotRecorded);
    }

    [Fact]
    public void Behind_the_end_of_a_text_is_padding()
    {
        var path = TruthFolder.Files("checkpoints", "generation.safetensors").First(file => Ended(Recording.Load(file)) is not null);
        using var folder = HubFolder.Load(Path.GetDirectoryName(path)!);
        var recording = Recording.Load(path);
        Assert.NotEqual(Outcome.Differs, CheckedModels.Generation(folder, recording, Backends).Outcome);
        var (generated, last) = (recording.Get("generated"), Ended(recording)!.Value);
        double[] changed = [.. generated.Values];
        changed[last] += 3;
        var first = CheckedModels.Generation(folder, recording.With(generated with { Values = changed }), Backends).First!;
        Assert.Equal(("generated", last), (first.Name, first.Worst!.Worst!.Index));
    }

    /// <summary>Place of the last id of a row that ended at least three ids before it.</summary>
    static int? Ended(Recording recording)
    {
        var (generated, ends) = (recording.Get("generated"), recording.Integers("eos_token_id"));
        int length = (int)generated.Shape[1], prompt = (int)recording.Get("input_ids").Shape[1];
        if (prompt >= length) return null;
        for (var row = 0; row < generated.Shape[0]; row++)
            if (Array.FindIndex(generated.Integers, row * length + prompt, length - prompt, ends.Contains) is >= 0 and var end && end < (row + 1) * length - 3)
                return (row + 1) * length - 1;
        return null;
    }
}
