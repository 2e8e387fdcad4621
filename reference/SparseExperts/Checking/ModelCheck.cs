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
                cause = chain.Cause(model.Blocks[i]);
            }
            chain.HandOn();
        }
        return new(verdicts, cause);
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
                of.Tape.Backend.CheckFaults();
            }
            finally
            {
                of.Tape.Reset();
                of.Tape.Recording = true;
            }
            return run;
        }

        /// <summary>The first usual fault that computes everything that was recorded of a block which the right computation does not.</summary>
        public string? Cause(CheckedBlock block)
        {
            foreach (var fault in block.Faults(recording))
                if (Reproduces(fault)) return fault.Sentence;
            return null;
        }

        bool Reproduces(BlockFault fault)
        {
            try
            {
                var run = One(model, new(model.Tape, recording, _computed), fault.Run);
                return run.Claims.All(c => c.Outcome == Outcome.Agrees || c is { Outcome: Outcome.Undecided, Worst: null });
            }
            catch (Exception e) when (e is RoutingException or DialectException or ShapeException)
            {
                return false;       // such a rule cannot run here, so nobody ran it
            }
        }
    }
}
