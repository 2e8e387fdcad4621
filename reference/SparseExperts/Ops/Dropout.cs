using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Y = X ∘ mask/(1 − rate); the mask comes from the stream, so the same stream gives the same mask anywhere.</summary>
    /// <remarks>dX = dY ∘ mask/(1 − rate): the same op on the gradient.</remarks>
    public static Tensor Dropout(this Tape tape, Tensor x, double rate, RandomStream stream) =>
        tape.Dropped(x, rate, new(stream, tape.FirstToken(x.Sequence) * x.Columns, x.Columns), null);

    /// <summary>The same for rows in the order of a plan: a row has the numbers of the choice that it carries, wherever it lies.</summary>
    /// <param name="x">The plan's rows from the first on: all of them, or those of the experts that have matrices.</param>
    public static Tensor Dropout(this Tape tape, Tensor x, double rate, RandomStream stream, PlanIndices indices)
    {
        var words = new RandomWords(stream, tape.FirstToken(indices.Sequence) * indices.Plan.Choices * x.Columns, x.Columns);
        return tape.Dropped(x, rate, words, indices.ChoiceOfRow with { Count = x.Rows });
    }

    static Tensor Dropped(this Tape tape, Tensor x, double rate, RandomWords words, Indices? rows)
    {
        if (rate == 0 || !tape.Drops) return x;
        return tape.Apply(nameof(Dropout), x.Rows, x.Columns, [x],
            y => tape.Backend.Dropout(x.Value, rate, words, rows, y.Value, false),
            y => tape.Backend.Dropout(y.Gradient, rate, words, rows, x.GradientTarget(out var add), add));
    }
}
