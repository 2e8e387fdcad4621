namespace SparseExperts.Saboteurs;

/// <summary>A window that has one key more than it should, forward and backward.</summary>
public sealed class WindowOfOneMore(IBackend inner) : Saboteur(inner)
{
    public override void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y) =>
        base.Attention(Wrong(shape), q, k, v, terms, saved, y);

    public override void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks) =>
        base.AttentionBackward(Wrong(shape), q, k, v, terms, saved, y, dy, dq, accumulateQ, dk, accumulateK, dv, accumulateV, dBias, dSinks);

    static AttentionShape Wrong(AttentionShape shape) => shape.Window is 0 or int.MaxValue ? shape : shape with { Window = shape.Window + 1 };
}

/// <summary>Sinks that lie so low that they take no share.</summary>
public sealed class SinksIgnored(IBackend inner) : Saboteur(inner)
{
    public override void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        if (!shape.Sinks) { base.Attention(shape, q, k, v, terms, saved, y); return; }
        var none = Inner.Rent(1, shape.Heads);
        Inner.Fill(none, double.NegativeInfinity);
        base.Attention(shape, q, k, v, terms with { Sinks = none }, saved, y);
        Inner.Return(none.Storage);
    }
}

/// <summary>The gradient of a key head from the last of its heads of queries alone.</summary>
public sealed class KeysOfTheLastHead(IBackend inner) : Saboteur(inner)
{
    public override void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks)
    {
        var slopes = Look(dy);
        for (var column = 0; column < slopes.Columns; column++)
            if (column / shape.ValueWidth % shape.Group < shape.Group - 1)
                for (var row = 0; row < slopes.Rows; row++) slopes[row, column] = 0;
        Matrix others = Inner.Rent(dy.Rows, dy.Columns), unused = Inner.Rent(dq.Rows, dq.Columns);
        Put(others, slopes);
        Inner.Fill(unused, 0);
        base.AttentionBackward(shape, q, k, v, terms, saved, y, others, unused, false, dk, accumulateK, dv, accumulateV, null, null);
        Matrix noKeys = Inner.Rent(dk.Rows, dk.Columns), noValues = Inner.Rent(dv.Rows, dv.Columns);
        base.AttentionBackward(shape, q, k, v, terms, saved, y, dy, dq, accumulateQ, noKeys, false, noValues, false, dBias, dSinks);
        foreach (var matrix in (Matrix[])[others, unused, noKeys, noValues]) Inner.Return(matrix.Storage);
    }
}
