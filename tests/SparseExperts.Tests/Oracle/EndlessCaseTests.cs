using SparseExperts.Layers;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Tests.EndToEnd;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>Files on which a solver, or the search for an explanation, would go on for ever: logits over many magnitudes, infinities, NaN.</summary>
public sealed class EndlessCaseTests
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    static string Folder => Path.Combine(AppContext.BaseDirectory, "Oracle", "endless");

    public static TheoryData<string> Files => [.. Directory.GetFiles(Folder).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)];

    static Func<IBackend> Oracle => () => new ScalarBackend<Tracked>();

    [Theory]
    [MemberData(nameof(Files))]
    public async Task A_check_ends_whatever_the_logits_are(string name)
    {
        var file = Case.Load(Path.Combine(Folder, name));
        var check = Task.Run(() =>
        {
            using var backend = Oracle();
            return Diagnosis.Explain(file, CaseCheck.Run(file, backend), Oracle);
        });
        var explanation = await check.WaitAsync(Patience);
        Assert.Equal(explanation.Of, explanation.Tried);
    }

    static RouterCall Call(string dialect, int tokens, int experts) =>
        new() { Dialect = BuiltIn.Named(dialect), Groups = 1, Size = tokens, Experts = experts, Training = true, Where = "here" };

    static async Task<string> Refusal(RouterCall call, float[] logits) =>
        (await Assert.ThrowsAsync<RoutingException>(() => Task.Run(() => RouterFromScores.Plan(call, logits)).WaitAsync(Patience))).Message;

    /// <summary>Affinities next to which a bid of 10⁻⁴ is nothing.</summary>
    [Fact]
    public async Task The_auction_says_that_it_does_not_converge() =>
        Assert.Contains("here: the auction did not converge within 204 rounds", await Refusal(Call("fairseq.base", 2, 2), [1e30f, 1e30f, 1e30f, 1e30f]));

    /// <summary>No verdict: one line with the solver, and the code of bad input.</summary>
    [Fact]
    public void The_command_says_which_solver_did_not_converge()
    {
        using var workspace = new Workspace();
        CaseTensor logits = new("claim.logits", "F32", [1, 2, 2], [1e30, 1e30, 1e30, 1e30]), tokens = new("claim.token", "I32", [1, 2, 1], [0, 1]);
        Case.Create("fairseq.base", "train", [new("x", "F32", [1, 2, 1], [1, 1]), logits, tokens]).Save(workspace.At("stuck.safetensors"));
        var result = MoeCommand.Run(["check", workspace.At("stuck.safetensors")]);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Matches("^moe: .*stuck.safetensors: the auction did not converge within 204 rounds, [^\n]*\n$", result.Error);
    }

    /// <summary>The second expert must get the whole of the second token: its scale grows with the root of the rounds, for 111,620 of them.</summary>
    [Fact]
    public async Task Sinkhorns_iteration_says_that_it_does_not_converge() =>
        Assert.Contains("here: Sinkhorn's iteration did not converge within", await Refusal(Call("megatron.sinkhorn", 2, 2), [0, -80, -12, -12]));

    /// <summary>Scores of 10¹⁵, of which cycles of moves seem to gain what rounding makes of them.</summary>
    [Fact]
    public async Task The_optimal_assignment_ends_where_rounding_makes_cycles()
    {
        var scores = new float[60 * 6];
        for (var i = 0; i < scores.Length; i++)
        {
            var magnitude = (int)(Philox.Word(new(5, 1), (ulong)i) % 60);
            scores[i] = (float)Math.ScaleB(Philox.UniformDouble(new(5, 0), (ulong)i), magnitude);
        }
        var plan = await Task.Run(() => RouterFromScores.Plan(Call("lewis.base", 60, 6), scores)).WaitAsync(Patience);
        Assert.All(Enumerable.Range(0, 6), e => Assert.Equal(10, plan.Expert.Count(x => x == e)));
    }

    [Fact]
    public void A_solver_that_spends_more_than_its_effort_is_stopped()
    {
        float[] scores = [.. Enumerable.Range(0, 32).Select(i => (float)(i * 7 % 5))];
        Assert.Equal("here: the auction did not converge within 1E3 steps, all that this call may take; look for router scores over many magnitudes",
            Assert.Throws<RoutingException>(() => RouterFromScores.Plan(Call("fairseq.base", 8, 4) with { Effort = new(1000) }, scores)).Message);
    }

    /// <summary>A claim that nothing explains, in a call of which one check costs a good part of what all may.</summary>
    [Fact]
    public void An_explanation_says_how_far_it_has_looked()
    {
        const int tokens = 600, width = 128, hidden = 200, experts = 2;
        double[] Numbers(int count, ulong seed) => [.. Enumerable.Range(0, count).Select(i => Philox.UniformDouble(new(seed, 0), (ulong)i) - 0.5)];
        var file = Case.Create("hf.mixtral", "eval",
        [
            new("x", "F32", [1, tokens, width], Numbers(tokens * width, 1)), new("router.weight", "F32", [experts, width], Numbers(experts * width, 2)),
            new("experts.wi", "F32", [experts, hidden, width], Numbers(experts * hidden * width, 3)),
            new("experts.wi_gate", "F32", [experts, hidden, width], Numbers(experts * hidden * width, 4)),
            new("experts.wo", "F32", [experts, width, hidden], Numbers(experts * hidden * width, 5)),
            new("claim.y", "F32", [1, tokens, width], Numbers(tokens * width, 6)),
        ]);
        using var backend = Oracle();
        var verdict = CaseCheck.Run(file, backend);
        var explanation = Diagnosis.Explain(file, verdict, Oracle);
        Assert.InRange(explanation.Tried, 1, explanation.Of - 1);
        Assert.Contains($"(of {explanation.Of} changes of one axis, the {explanation.Tried} most plausible were tried)",
            Diagnosis.Say(file, verdict, explanation));
    }
}
