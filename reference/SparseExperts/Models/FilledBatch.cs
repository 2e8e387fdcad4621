using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Sharding;

namespace SparseExperts.Models;

/// <summary>
/// A batch with zero tokens added where the dialect cannot cut it into groups otherwise. They are routed and take slots like tokens, unless the dialect
/// ignores padding, and are cut off behind the layer (flaxformer moe_layers.py, _maybe_pad).
/// </summary>
sealed class FilledBatch
{
    readonly int[] _source, _place;
    readonly int _length, _longer;

    public FilledBatch(Dialect d, int sequences, int tokens, int experts)
    {
        var length = tokens / sequences;
        var (more, longer) = Grouping.Padding(d, sequences, length, experts);
        (Sequences, IsFilled, _length, _longer) = (more, more * longer > tokens, length, longer);
        _source = new int[more * longer];
        _place = new int[tokens];
        Array.Fill(_source, -1);
        for (var t = 0; t < tokens; t++) _source[_place[t] = t / length * longer + t % length] = t;
    }

    public int Sequences { get; }
    public int Tokens => _source.Length;
    public bool IsFilled { get; }

    /// <summary>1 for a token, 0 for padding and for an added one; empty where all are tokens.</summary>
    /// <param name="own">Of the tokens that were there; empty where all are real.</param>
    public float[] TokenMask(float[] own) => !IsFilled ? own : [.. _source.Select(t => t < 0 ? 0f : own.Length == 0 ? 1 : own[t])];

    /// <summary>Rows [T, M], with rows of zeros between them.</summary>
    /// <exception cref="RoutingException">The batch is one of several shards: zero tokens belong to the whole.</exception>
    public Tensor Fill(Tape tape, Tensor x)
    {
        if (!IsFilled) return x;
        if (tape.Shards is not (null or MicroBatches))
            throw new RoutingException($"{_place.Length} tokens of a shard make no groups without zero tokens; choose a batch whose shards do");
        return tape.Permute(x, tape.UploadPlan(_source), tape.UploadPlan(_place), _longer);
    }

    /// <summary>The same of what may not be there.</summary>
    public Tensor? FillOrNull(Tape tape, Tensor? x) => x is null ? null : Fill(tape, x);

    /// <summary>One number a token; 0 for an added one.</summary>
    public int[] Fill(int[] values) => IsFilled && values.Length > 0 ? [.. _source.Select(t => t < 0 ? 0 : values[t])] : values;

    /// <summary>The result of the tokens alone. What the losses were made from stays as it was.</summary>
    public SparseResult Cut(Tape tape, SparseResult result)
    {
        if (!IsFilled) return result;
        Indices ids = tape.UploadPlan(_place), inverse = tape.UploadPlan(_source);
        Tensor Tokens(Tensor x) => tape.Permute(x, ids, inverse, _length);
        return result with
        {
            Output = Tokens(result.Output),
            Logits = Tokens(result.Logits),
            Probabilities = Tokens(result.Probabilities),
            RouterState = result.RouterState is null ? null : Tokens(result.RouterState),
            Handle = new(Cut(result.Plan)),
        };
    }

    /// <summary>Who went where, of the tokens alone, numbered as they come: they have no groups of equal size any more.</summary>
    RoutingPlan Cut(RoutingPlan plan)
    {
        var k = plan.Choices;
        int[] expert = new int[_place.Length * k], slot = new int[expert.Length], served = new int[plan.Experts];
        for (var i = 0; i < expert.Length; i++)
        {
            var from = _place[i / k] * k + i % k;
            expert[i] = plan.Expert[from];
            slot[i] = plan.RowOf[from] < 0 ? RoutingPlan.Dropped : served[expert[i]]++;
        }
        return new(plan.Experts, 1, k, RoutingPlan.Unlimited, expert, slot);
    }
}
