using System.Text.Json.Nodes;
using SparseExperts.Autograd;
using SparseExperts.Checking;
using SparseExperts.Checking.Hub;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Models.Hub;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Tests.EndToEnd;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>How much of the difference between two engines' log-probabilities comes from routes: the answer is known where the engines are made here.</summary>
public sealed class RouteReplayTests
{
    const string Gate = "router.model.layers.1.block_sparse_moe.gate";
    const int Token = 5, Experts = 4;

    static string Folder => Path.Combine(AppContext.BaseDirectory, "Truth", "data", "checkpoints", "language-models", "mixtral-tiny");

    static Recording Recorded() => Recording.Load(Path.Combine(Folder, "io.safetensors"));

    static LogProbabilityShift Run(Recording first, Recording second)
    {
        using var folder = HubFolder.Load(Folder);
        using var backend = new ScalarBackend<Float64>();
        return RouteReplay.Run(folder, first, second, backend);
    }

    static Recording Changed(Recording recording, string name, Action<double[]> change)
    {
        var tensor = recording.Get(name);
        double[] values = [.. tensor.Values];
        change(values);
        return recording.With(tensor with { Values = values });
    }

    /// <summary>One token of the last layer has its least wanted expert instead of its best.</summary>
    static Recording Rerouted(Recording recording) => Changed(recording, Gate, logits =>
    {
        var row = logits.AsSpan(Token * Experts, Experts);
        var (best, least) = (Ranking.Best(row.ToArray(), new bool[Experts], TieRule.Lowest), row.IndexOf(row.ToArray().Min()));
        (row[best], row[least]) = (row[least], row[best]);
    });

    sealed class Routes(int[] experts) : Substitution
    {
        public override Choices Choices(RouterNumbers numbers, Func<Choices> select) => select() with { Expert = experts, Candidate = experts, Slot = [] };
    }

    /// <summary>What an engine computes that goes the recorded ways in the last layer.</summary>
    static Recording Computed(Recording recording)
    {
        using var folder = HubFolder.Load(Folder);
        using var backend = new ScalarBackend<Float64>();
        using var tape = new Tape(backend) { Recording = false };
        var model = new HubModel(tape, (HubDecoder)folder.Config, NumberFormat.Float32, new HubWeights(folder));
        int[] chosen = [.. recording.Get(Gate).Values.Chunk(Experts).SelectMany(row => Ranking.Top(row, 2, TieRule.Lowest))];
        var inputs = new HubInputs(recording.Integers("input_ids"), 2) { Mask = recording.Integers("attention_mask") };
        var logits = backend.ToDoubles(model.Forward(inputs, false, layer => layer == 1 ? new Routes(chosen) : null).Logits.Value);
        return recording.With(recording.Get("logits") with { Values = Array.ConvertAll(logits, l => (double)(float)l) });
    }

    [Fact]
    public void What_routes_alone_change_comes_from_routes()
    {
        var shift = Run(Recorded(), Computed(Rerouted(Recorded())));
        Assert.Equal((1, 18), (shift.Apart.Tokens, shift.Together.Tokens));
        Assert.Equal([("layers.0", 0), ("layers.1", 1)], shift.Layers.Select(l => (l.Name, l.TokensApart)));
        Assert.True(shift.Apart.Total > 1e-3, shift.Say());
        Assert.InRange(shift.All.Rest, 0, 1e-4);                                       // what float32 loses of 19 tokens' logits
        Assert.Equal(shift.All.Routes, shift.Layers[1].Alone, 1e-12);
        Assert.InRange(shift.All.ShareOfRoutes!.Value, 0.95, 1);
        Assert.Contains("comes from routes, which differ for 1 tokens", shift.Say());
    }

    [Fact]
    public void What_differs_on_the_same_routes_comes_from_the_rest()
    {
        var warm = Changed(Recorded(), "logits", logits => Array.ForEach(Enumerable.Range(0, logits.Length).ToArray(), i => logits[i] *= 1.01));
        var shift = Run(Recorded(), warm);
        Assert.Equal((0, 0.0, 0.0), (shift.Apart.Tokens, shift.All.Routes, shift.All.ShareOfRoutes));
        Assert.Equal(shift.All.Total, shift.All.Rest);
        Assert.Contains("nothing of it comes from routes", shift.Say());
    }

    /// <summary>Other routes that changed nothing of the recorded logits are no cause of their difference: the parts may be larger than the whole.</summary>
    [Fact]
    public void Replay_decides_and_not_the_tokens_alone()
    {
        var shift = Run(Recorded(), Rerouted(Recorded()));
        Assert.Equal((1, 0.0), (shift.Apart.Tokens, shift.All.Total));
        Assert.Equal(shift.All.Routes, shift.All.Rest, 1e-12);
        Assert.True(shift.All.Routes > 1e-3);
    }

    [Fact]
    public void Recordings_that_cannot_be_compared_are_refused()
    {
        void Refused(Recording second, string says) => Assert.Contains(says, Assert.Throws<InvalidFileException>(() => Run(Recorded(), second)).Message);
        Refused(Changed(Recorded(), "input_ids", ids => ids[3] = 1), "input_ids is another one than in");
        Refused(Recording.Of("b", Recorded().Names.Where(n => n != Gate).Select(Recorded().Get)), "b: it does not say which experts layer 1 chose");
        Refused(Recording.Of("b", Recorded().Names.Where(n => n != "logits").Select(Recorded().Get)), "b: no tensor 'logits'; record it");
        Refused(Recorded().With(new CaseTensor(Gate + ".experts", "I32", [24, 2], [.. Enumerable.Repeat(4.0, 48)])), "layer 1 chose expert 4, there are 0 … 3");
    }

    [Fact]
    public void The_command_takes_two_recordings_and_the_checkpoint()
    {
        var file = Path.Combine(Folder, "io.safetensors");
        var json = MoeCommand.Run(["compare", file, file, "--model", Folder, "--json"]);
        var read = JsonNode.Parse(json.Output)!;
        Assert.Equal((0, 19, 0), (json.ExitCode, (int)read["tokens"]!, (int)read["routed_otherwise"]!["tokens"]!));
        Assert.Contains("the log-probabilities of all 19 tokens are equal", MoeCommand.Run(["compare", file, file, "--model", Folder, "--strict"]).Output);
        var both = MoeCommand.Run(["compare", file, file, "--model", Folder, "--rows"]);
        Assert.Equal((2, true), (both.ExitCode, both.Error.Contains("give one", StringComparison.Ordinal)));
    }
}
