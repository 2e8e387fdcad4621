using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Checking;

/// <summary>
/// A whole model against a recording, block by block: each is computed from its recorded input, so that the first that departs is the culprit. Bounds hold
/// for any order of summation, and in a narrow format for every op's one rounding.
/// </summary>
public static class ModelCheck
{
    /// <param name="model">On a backend whose numbers carry bounds.</param>
    /// <param name="disturbed">The same model on one that disturbs them.</param>
    /// <exception cref="Formats.InvalidFileException">The recording is not of this model.</exception>
    public static ModelVerdict Activations(ICheckedModel model, ICheckedModel disturbed, Recording recording)
    {
        var chain = new Chain(model, disturbed, recording);
        var verdicts = new List<BlockVerdict>();
        string? cause = null;
        var departs = false;
        for (var i = 0; i < model.Blocks.Count; i++)
        {
            var run = chain.Run(m => m.Blocks[i].Run);
            verdicts.Add(new(model.Blocks[i].Name, run.Claims));
            if (run.Outcome == Outcome.Differs && !departs)
            {
                departs = true;
                cause = chain.Cause(i);
            }
            chain.HandOn();
        }
        return new(verdicts, cause);
    }

    /// <summary>One block alone, whose inputs are recorded.</summary>
    public static ModelVerdict Block(ICheckedModel model, ICheckedModel disturbed, Recording recording, int index)
    {
        var chain = new Chain(model, disturbed, recording);
        var run = chain.Run(m => m.Blocks[index].Run);
        return new([new(model.Blocks[index].Name, run.Claims)], run.Outcome == Outcome.Differs ? chain.Cause(index) : null);
    }

    /// <summary>The blocks so far: what they handed on, in bounds and in every draw.</summary>
    sealed class Chain(ICheckedModel model, ICheckedModel disturbed, Recording recording)
    {
        readonly Dictionary<string, Numbers> _computed = [];
        readonly Dictionary<string, Numbers>[] _ofDraws = [.. Enumerable.Range(0, Spread.Draws).Select(_ => new Dictionary<string, Numbers>())];
        BlockRun[] _draws = [];
        BlockRun? _last;

        /// <summary>A block in every draw, then with bounds.</summary>
        public BlockRun Run(Func<ICheckedModel, Action<BlockRun>> block)
        {
            _draws = [.. _ofDraws.Select((known, n) =>
            {
                ((IDisturbs)disturbed.Tape.Backend).Begin(n);
                return One(disturbed, new(disturbed.Tape, recording, known), block(disturbed));
            })];
            return _last = One(model, new(model.Tape, recording, _computed, _draws), block(model));
        }

        /// <summary>What the last block made is there for those that follow.</summary>
        public void HandOn()
        {
            foreach (var (name, numbers) in _last!.Outputs) _computed[name] = numbers;
            for (var n = 0; n < _draws.Length; n++)
                foreach (var (name, numbers) in _draws[n].Outputs) _ofDraws[n][name] = numbers;
        }

        /// <summary>One computation without a gradient; what it rented is given back.</summary>
        static BlockRun One(ICheckedModel of, BlockRun run, Action<BlockRun> compute)
        {
            of.Tape.Recording = false;
            try
            {
                compute(run);
                of.Tape.CheckFaults();
            }
            finally
            {
                of.Tape.Reset();
                of.Tape.Recording = true;
            }
            return run;
        }

        /// <summary>
        /// The fault that computes everything that was recorded of a block which the right computation does not: the first, unless another fits twice as well.
        /// </summary>
        public string? Cause(int block)
        {
            (string? Sentence, double Off) best = (null, double.PositiveInfinity);
            foreach (var (n, fault) in model.Blocks[block].Faults(recording).Index())
            {
                if (best.Sentence is not null && !fault.IsUsual) break;
                if (Fits(block, n, fault) is { } off && (best.Sentence is null || off < best.Off / 2)) best = (fault.Sentence, off);
            }
            return best.Sentence;
        }

        /// <summary>How far off the numbers of the worst tensor lie on average, in bounds; null where the fault does not reproduce the recording.</summary>
        double? Fits(int block, int n, BlockFault fault)
        {
            try
            {
                // By the bounds of every step first, which cost nothing more; what they let pass has to lie within the spread of its own draws.
                if (!Agrees(One(model, new(model.Tape, recording, _computed), fault.Run))) return null;
                BlockRun[] draws = [.. _ofDraws.Select((known, draw) =>
                {
                    ((IDisturbs)disturbed.Tape.Backend).Begin(draw);
                    return One(disturbed, new(disturbed.Tape, recording, known), Again(disturbed, block, n).Run);
                })];
                var run = One(model, new(model.Tape, recording, _computed, draws), Again(model, block, n).Run);
                return Agrees(run) ? run.Claims.Max(c => c.Mean) : null;
            }
            catch (Exception e) when (e is RoutingException or DialectException or ShapeException)
            {
                return null;        // such a rule cannot run here, so nobody ran it
            }
        }

        static bool Agrees(BlockRun run) => run.Claims.All(c => c.Outcome != Outcome.Differs);

        /// <summary>The same fault, made anew: its matrices do not outlive a run.</summary>
        BlockFault Again(ICheckedModel of, int block, int n) => of.Blocks[block].Faults(recording).ElementAt(n);
    }
}
