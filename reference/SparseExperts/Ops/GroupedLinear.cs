using SparseExperts.Autograd;
using SparseExperts.Sharding;

namespace SparseExperts.Ops;

/// <summary>Where the rows of every group lie, on the backend; on the host when somebody asks, which may wait.</summary>
public sealed record GroupOffsets(Indices OnBackend, Func<int[]> OnHost)
{
    public static GroupOffsets Upload(Tape tape, int[] offsets) => new(tape.UploadPlan(offsets), () => offsets);

    /// <summary>Of the first groups alone.</summary>
    public GroupOffsets First(int groups) => new(OnBackend with { Count = groups + 1 }, () => OnHost()[..(groups + 1)]);
}

public static partial class Op
{
    /// <summary>
    /// Rows [o_e, o_{e+1}) of X meet W_e: Y_e = X_e·W_e. X [rows, in] in expert order, W [E·in, out] one matrix below the other,
    /// <paramref name="offsets"/> E + 1 entries. Rows of no group give 0.
    /// </summary>
    /// <remarks>dX_e = dY_e·W_eᵀ, dW_e = X_eᵀ·dY_e; an expert without rows has dW_e = 0.</remarks>
    public static Tensor GroupedLinear(this Tape tape, Tensor x, Tensor w, GroupOffsets offsets) => tape.Apply(nameof(GroupedLinear), x.Rows, w.Columns, [x, w],
        y => tape.Backend.MultiplyGroups(x.Value, w, y.Value, offsets),
        y => tape.BackwardOfGroups(x, w, y.Gradient, offsets));

    /// <summary>Row e of X [E, columns] for every row of group e, exactly, wherever the offsets lie: a product with ones. Rows of no group give 0.</summary>
    /// <param name="rows">Rows of all groups together, at least.</param>
    /// <remarks>dx_e = Σ dy_r over the rows of group e in ascending r.</remarks>
    public static Tensor RepeatRows(this Tape tape, Tensor x, int rows, GroupOffsets offsets)
    {
        using var exact = tape.Exactly();
        return tape.GroupedLinear(tape.Constant(tape.Constants.Ones(rows)), x, offsets);
    }

    /// <summary>Adds X_eᵀ·dY_e to the gradient of every expert's matrix, over the rows of all shards.</summary>
    static void OuterOfGroups(this Tape tape, Matrix rows, Matrix slopes, Tensor w, GroupOffsets offsets)
    {
        if (!w.RequiresGradient) return;
        var all = offsets.OnBackend;
        if (tape.Shards is not null)
        {
            (rows, slopes, var joined) = tape.OfAllShards(rows, slopes, offsets.OnHost());
            all = tape.UploadPlan(joined);
        }
        tape.Backend.GemmGroupedOuter(rows, slopes, w.GradientTarget(out var add), all, add);
    }

    /// <summary>The same with offsets of the host.</summary>
    public static Tensor GroupedLinear(this Tape tape, Tensor x, Tensor w, int[] offsets) => tape.GroupedLinear(x, w, GroupOffsets.Upload(tape, offsets));
}
