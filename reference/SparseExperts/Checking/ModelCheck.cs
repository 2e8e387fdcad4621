using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Checking;

/// <summary>
/// A whole model against a recording, block by block: each is computed from its recorded input, so that the first that departs is the culprit. Bounds hold
/// for any order of summation, and in a narrow format for every op's one rounding.
/// </summary>
public static class ModelCheck
{
    /// <exception cref="Formats.InvalidFileException">The recording is not of this model.</exception>
    public static ModelVerdict Activations(ICheckedModel model, Recording recording)
    {
        var computed = new Dictionary<string, Numbers>();
        var verdicts = new List<BlockVerdict>();
        string? cause = null;
        var departs = false;
        foreach (var block in model.Blocks)
        {
            var run = Run(model, recording, computed, block.Run);
            verdicts.Add(new(block.Name, run.Claims));
            if (run.Outcome == Outcome.Differs && !departs)
            {
                departs = true;
                cause = Cause(model, recording, computed, block);
            }
            foreach (var (name, numbers) in run.Outputs) computed[name] = numbers;
        }
        return new(verdicts, cause);
    }

    /// <summary>One computation without a gradient; what it rented is given back.</summary>
    static BlockRun Run(ICheckedModel model, Recording recording, Dictionary<string, Numbers> computed, Action<BlockRun> compute)
    {
        var run = new BlockRun(model.Tape, recording, computed);
        model.Tape.Recording = false;
        try
        {
            compute(run);
            model.Tape.Backend.CheckFaults();
        }
        finally
        {
            model.Tape.Reset();
            model.Tape.Recording = true;
        }
        return run;
    }

    /// <summary>The first usual fault that computes everything that was recorded of a block which the right computation does not.</summary>
    static string? Cause(ICheckedModel model, Recording recording, Dictionary<string, Numbers> computed, CheckedBlock block)
    {
        foreach (var fault in block.Faults(recording))
            if (Reproduces(fault)) return fault.Sentence;
        return null;

        bool Reproduces(BlockFault fault)
        {
            try
            {
                var run = Run(model, recording, computed, fault.Run);
                return run.Claims.All(c => c.Outcome == Outcome.Agrees || c is { Outcome: Outcome.Undecided, Worst: null });
            }
            catch (Exception e) when (e is RoutingException or DialectException)
            {
                return false;       // such a rule cannot run here, so nobody ran it
            }
        }
    }
}
