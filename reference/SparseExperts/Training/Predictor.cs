using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>
/// A model and the tape that it runs on: all that evaluation and generation need. It has no optimizer and holds no gradients. Disposal gives the model's
/// memory back to the backend, which lives longer.
/// </summary>
public class Predictor : IDisposable
{
    /// <summary>Where the calls of evaluations are counted.</summary>
    public const string EvaluationPath = "evaluation";

    private protected readonly Tape _tape;

    /// <summary>A model with the start values of a seed.</summary>
    /// <param name="recompute">Whether blocks give up their activations and compute them again in the backward pass.</param>
    public Predictor(IBackend backend, IModelConfig model, ulong seed, bool recompute = false) : this(backend, model, new StartValues(seed), recompute)
    {
    }

    /// <param name="source">Where the model's numbers come from.</param>
    /// <param name="objective">What losses are computed by; null is the next token.</param>
    /// <param name="asStored">Whether parameters stay in two bytes that the source has so: less memory and the same bits, but no gradient.</param>
    public Predictor(
        IBackend backend, IModelConfig model, IWeightSource source, bool recompute = false, IObjective? objective = null, bool asStored = false)
    {
        (Backend, Objective) = (backend, objective ?? new NextTokenLoss());
        _tape = new Tape(backend) { Recomputes = recompute, SharesGradients = true };
        _tape.Parameters.KeepsStoredTypes = asStored;
        Model = ModelFamily.Make(_tape, model, source);
    }

    public IBackend Backend { get; }

    /// <summary>The tape that the model runs on.</summary>
    internal Tape Tape => _tape;
    public IModel Model { get; }
    public IObjective Objective { get; }

    /// <summary>Training steps behind the parameters, skipped ones included.</summary>
    public long Step { get; set; }

    public void Dispose()
    {
        _tape.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Runs the model without recording and hands out the result before its memory is taken back. What comes of an index that
    /// an op could not follow, or of a backend's plan over NaN, is thrown.
    /// </summary>
    /// <param name="cache">What was computed of the text that <paramref name="batch"/> continues.</param>
    public T Evaluate<T>(TokenBatch batch, Func<ModelResult, Tape, T> use, KeyValueCache? cache = null)
    {
        _tape.Recording = false;
        using var place = _tape.Within(EvaluationPath);
        try
        {
            var used = use(Model.Forward(batch, new() { Cache = cache }), _tape);
            _tape.CheckFaults();
            return used;
        }
        finally
        {
            _tape.Reset();
            _tape.Recording = true;
        }
    }
}
