namespace SparseExperts.Saboteurs;

/// <summary>The last columns that fill no vector of 16 keep what they held.</summary>
public sealed class TailLeftStale(IBackend inner) : Saboteur(inner)
{
    public override void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        var whole = c.Columns / 16 * 16;
        base.Multiply(a.ColumnRange(0, whole), b.ColumnRange(0, whole), c.ColumnRange(0, whole), accumulate);
    }
}

/// <summary>Stores one float too many behind the last row.</summary>
public sealed class OneElementPastTheView(IBackend inner) : Saboteur(inner)
{
    public override void Add(Matrix a, Matrix b, Matrix c)
    {
        base.Add(a, b, c);
        if (c.Count > 0) Inner.Write(c.Storage, c.Offset + (long)(c.Rows - 1) * c.Stride + c.Columns, (ReadOnlySpan<double>)[0.0]);
    }
}

/// <summary>Subtracts the maximum in the source instead of a copy.</summary>
public sealed class SourceUsedAsScratch(IBackend inner) : Saboteur(inner)
{
    public override void Softmax(Matrix x, Matrix y)
    {
        base.Softmax(x, y);
        Inner.Copy(y, x);
    }
}

public sealed class ScatterInDescendingOrder(IBackend inner) : Saboteur(inner)
{
    public override void ScatterAddRows(Matrix x, Indices rows, Matrix y)
    {
        Check.RowIndices(Inner, "ScatterAddRows", x, y, rows, x.Rows);
        Table from = Look(x), to = Look(y);
        var index = Look(rows);
        for (var r = from.Rows - 1; r >= 0; r--)
            if (index[r] >= 0)
                for (var j = 0; j < from.Columns; j++) to[index[r], j] = Round(to[index[r], j] + from[r, j]);
        Put(y, to);
    }
}

public sealed class NothingReadsRowZero(IBackend inner) : Saboteur(inner)
{
    public override void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate)
    {
        if (x.Rows == 0) { base.GatherRows(x, rows, y, accumulate); return; }
        var clamped = Inner.Upload([.. Look(rows).Select(index => Math.Max(0, index))]);
        base.GatherRows(x, clamped, y, accumulate);
        Inner.Return(clamped.Storage);
    }
}

/// <summary>Moves an index out of its range to the nearest row that there is.</summary>
public sealed class IndicesMovedIntoRange(IBackend inner) : Saboteur(inner)
{
    public override void ScatterAddRows(Matrix x, Indices rows, Matrix y)
    {
        Inner.ScatterAddRows(x, rows, y);                    // the flag is right
        var moved = Look(rows).Select(i => i < -1 ? 0 : i >= y.Rows ? y.Rows - 1 : -1);
        var more = Inner.Upload([.. moved]);
        Inner.ScatterAddRows(x, more, y);
        Inner.Return(more.Storage);
    }
}

/// <summary>Tells nobody of wrong indices.</summary>
public sealed class FaultsForgotten(IBackend inner) : Saboteur(inner)
{
    public override IndexFault? TakeFault()
    {
        Inner.TakeFault();
        return null;
    }
}

/// <summary>The flag stays up when it has been taken.</summary>
public sealed class FaultsToldTwice(IBackend inner) : Saboteur(inner)
{
    IndexFault? _last;
    public override IndexFault? TakeFault() => _last = Inner.TakeFault() ?? _last;
}

/// <summary>Cuts off what a narrow format has no digits for.</summary>
public sealed class CastsCutOff(IBackend inner) : Saboteur(inner)
{
    public override void Cast(Matrix x, Matrix y)
    {
        if (y.Type != ElementType.BFloat16)
        {
            Inner.Cast(x, y);
            return;
        }
        static float Cut(float value) => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000);
        var cut = Array.ConvertAll(Inner.ToArray(x), value => float.IsFinite(value) ? Cut(value) : value);
        Inner.Write(y, (ReadOnlySpan<float>)cut);
    }
}

/// <summary>Takes a matrix of any format by a silent copy.</summary>
public sealed class FormatsTakenSilently(IBackend inner) : Saboteur(inner)
{
    public override void Softmax(Matrix x, Matrix y)
    {
        var real = Inner.Rent(x.Rows, x.Columns);
        Inner.Cast(x, real);
        Inner.Softmax(real, y);
        Inner.Return(real.Storage);
    }
}
