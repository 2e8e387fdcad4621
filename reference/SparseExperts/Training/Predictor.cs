using SparseExperts.Autograd;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>A model and the tape that it runs on: all that evaluation and generation need. It has no optimizer and holds no gradients.</summary>
public class Predictor
{
    /// <summary>Where the calls of evaluations are counted.</summary>
    public const string EvaluationPath = "evaluation";

    private protected readonly Tape _tape;

    /// <param name="seed">Of the start values.</param>
    /// <param name="recompute">Whether blocks give up their activations and compute them again in the backward pass.</param>
    public Predictor(IBackend backend, ModelConfig model, ulong seed, bool recompute = false)
    {
        Backend = backend;
        _tape = new Tape(backend) { Recomputes = recompute };
        Model = new LanguageModel(_tape, model, seed);
    }

    public IBackend Backend { get; }
    public LanguageModel Model { get; }

    /// <summary>Training steps behind the parameters, skipped ones included.</summary>
    public long Step { get; set; }

    /// <summary>
    /// Runs the model without recording and hands out the result before its memory is taken back. What comes of an index that an op could not follow is thrown.
    /// </summary>
    /// <param name="cache">What was computed of the text that <paramref name="ids"/> continue.</param>
    public T Evaluate<T>(ReadOnlySpan<int> ids, int sequences, Func<ModelResult, Tape, T> use, ReadOnlySpan<int> tasks = default, KeyValueCache? cache = null)
    {
        _tape.Recording = false;
        using var place = _tape.In(EvaluationPath);
        try
        {
            var used = use(Model.Forward(ids, sequences, false, tasks: tasks, cache: cache), _tape);
            Backend.CheckFaults();
            return used;
        }
        finally
        {
            _tape.Reset();
            _tape.Recording = true;
        }
    }
}
