using SparseExperts.Autograd;
using SparseExperts.Models;

namespace SparseExperts.Checking.Switch;

/// <summary><c>router losses</c>: z and balance losses of both stacks, from the recorded logits and kept choices.</summary>
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
            var (z, balance) = SwitchLosses.Of(run.Tape, layers, batch.Sequences);
            run.Output(z, null, $"{stack.Name}_z_loss");
            run.Output(balance, null, $"{stack.Name}_aux_loss");
        }
    }

    (Tensor Logits, int[] Experts) Recorded(BlockRun run, string name)
    {
        var (logits, experts) = (run.Recording.Get($"{name}.logits"), model.Config.Experts);
        var tokens = logits.Values.Length / experts;
        var kept = SwitchRouter.Kept(run.Recording, name, tokens, experts);
        return (run.Given(tokens, experts, 0, run.Recording.Sized(logits, (long)tokens * experts).Values, []), Array.ConvertAll(kept, e => Math.Max(e, 0)));
    }
}
