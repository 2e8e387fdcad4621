using SparseExperts.Autograd;
using SparseExperts.Models;

namespace SparseExperts.Checking.Switch;

/// <summary>
/// <c>router losses</c>: z and balance losses of both stacks, from the recorded logits and kept choices; the balance loss by either rule of the library.
/// </summary>
sealed class SwitchRouterLosses(T5Model model) : CheckedBlock
{
    public override string Name => "router losses";

    public override void Run(BlockRun run)
    {
        var batch = SwitchBatch.Of(run.Recording);
        foreach (var stack in new[] { model.Encoder, model.Decoder })
        {
            string[] names = [.. stack.Sparse.Select(s => SwitchRouter.NameOf(s))];
            if (names.Length == 0 || !names.All(n => run.Recording.Has($"{n}.logits") && run.Recording.Has($"{n}.kept"))) continue;
            var layers = names.Select(n => Recorded(run, n)).ToArray();
            var (z, balance) = SwitchLosses.Of(run.Tape, [.. layers.Select(l => (l.Logits, l.Kept))], batch.Sequences);
            run.Output(z, null, $"{stack.Name}_z_loss");
            var name = $"{stack.Name}_aux_loss";
            var (_, other) = SwitchLosses.Of(run.Tape, [.. layers.Select(l => (l.Logits, l.Wanted))], batch.Sequences);
            double Off(Tensor loss) => run.Recording.Find(name) is { } claim ? Math.Abs(run.Tape.Backend.ToDoubles(loss.Value)[0] - claim.Values[0]) : 0;
            run.Output(Off(other) < Off(balance) ? other : balance, null, name);
        }
    }

    /// <summary>Logits, and which expert a token counts for in transformers 4 (0 where it was dropped) and 5 (the one it wanted).</summary>
    (Tensor Logits, int[] Kept, int[] Wanted) Recorded(BlockRun run, string name)
    {
        var (logits, experts) = (run.Recording.Get($"{name}.logits"), model.Config.Experts);
        var tokens = logits.Values.Length / experts;
        var kept = SwitchRouter.Kept(run.Recording, name, tokens, experts);
        var values = run.Recording.Sized(logits, (long)tokens * experts).Values;
        int[] wanted = [.. values.Chunk(experts).Select(row => Array.IndexOf(row, row.Max()))];
        return (run.Given(tokens, experts, 0, values, []), Array.ConvertAll(kept, e => Math.Max(e, 0)), wanted);
    }
}
