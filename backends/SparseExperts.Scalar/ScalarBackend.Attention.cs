namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    /// <summary>Probabilities, row (sequence·heads + head)·queries + query.</summary>
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, shape.Keys);

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix saved, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, bias, pad, saved, y);
        View<T> queries = new(q), keys = new(k), values = new(v), p = new(saved), output = new(y);
        var scale = T.Of(shape.Scale);
        for (var b = 0; b < shape.Sequences; b++)
            for (var h = 0; h < shape.Heads; h++)
                for (var i = 0; i < shape.Queries; i++)
                {
                    int row = (b * shape.Heads + h) * shape.Queries + i, query = b * shape.Queries + i, key = b * shape.Keys, first = h * shape.HeadWidth;
                    var visible = shape.Visible(i);
                    var (at, max) = (-1, NegativeInfinity);
                    for (var j = 0; j < visible; j++)
                    {
                        var dot = Zero;
                        for (var d = first; d < first + shape.HeadWidth; d++) dot = T.Fma(queries[query, d], keys[key + j, d], dot);
                        var score = dot * scale;
                        if (bias is { } extra) score += new View<T>(extra)[h * shape.Queries + i, j];
                        if (pad is { } mask) score += new View<T>(mask)[b, j];
                        p[row, j] = score;
                        if (score.Value > max.Value) (at, max) = (j, score);
                    }
                    var lanes = new Lanes<T>();
                    for (var j = 0; j < visible; j++) lanes.Add(j, p[row, j] = T.Exp(Below(p[row, j], max, j == at)));
                    var sum = lanes.Join();
                    for (var j = 0; j < shape.Keys; j++) p[row, j] = j < visible ? p[row, j] / sum : Zero;
                    for (var d = first; d < first + shape.HeadWidth; d++)
                    {
                        var mixed = Zero;
                        for (var j = 0; j < visible; j++) mixed = T.Fma(p[row, j], values[key + j, d], mixed);
                        output[query, d] = mixed + Zero;
                    }
                }
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias)
    {
        Check.AttentionBackward(this, shape, q, k, v, bias, pad, saved, y, dy, dq, dk, dv, dBias);
        View<T> queries = new(q), keys = new(k), values = new(v), p = new(saved), g = new(dy), gq = new(dq), gk = new(dk), gv = new(dv);
        var scale = T.Of(shape.Scale);
        var (count, length) = (shape.Queries, shape.Keys);
        var scores = new T[count, length];
        var sequences = new SumTree(shape.Sequences, 1);
        for (var h = 0; h < shape.Heads; h++)
        {
            var biases = new Partials<T>[dBias is null ? 0 : count * length];
            for (var i = 0; i < biases.Length; i++) biases[i] = new(sequences);
            for (var b = 0; b < shape.Sequences; b++)
            {
                int rows = (b * shape.Heads + h) * count, query = b * count, key = b * length, first = h * shape.HeadWidth;
                for (var i = 0; i < count; i++)
                {
                    var lanes = new Lanes<T>();
                    for (var j = 0; j < length; j++)
                    {
                        var dot = Zero;
                        for (var d = first; d < first + shape.HeadWidth; d++) dot = T.Fma(g[query + i, d], values[key + j, d], dot);
                        scores[i, j] = dot;
                        lanes.AddProduct(j, p[rows + i, j], dot);
                    }
                    var mean = lanes.Join();
                    for (var j = 0; j < length; j++)
                    {
                        var slope = p[rows + i, j] * (scores[i, j] - mean);
                        if (dBias is not null) biases[i * length + j].Push(slope, sequences[b].Joins);
                        scores[i, j] = slope * scale;
                    }
                }
                for (var d = first; d < first + shape.HeadWidth; d++)
                {
                    for (var i = 0; i < count; i++)
                    {
                        var sum = accumulateQ ? gq[query + i, d] : Zero;
                        for (var j = 0; j < length; j++) sum = T.Fma(scores[i, j], keys[key + j, d], sum);
                        gq[query + i, d] = sum + Zero;
                    }
                    for (var j = 0; j < length; j++)
                    {
                        T sumK = accumulateK ? gk[key + j, d] : Zero, sumV = accumulateV ? gv[key + j, d] : Zero;
                        for (var i = 0; i < count; i++)
                        {
                            sumK = T.Fma(scores[i, j], queries[query + i, d], sumK);
                            sumV = T.Fma(p[rows + i, j], g[query + i, d], sumV);
                        }
                        (gk[key + j, d], gv[key + j, d]) = (sumK + Zero, sumV + Zero);
                    }
                }
            }
            for (var i = 0; i < biases.Length; i++) new View<T>(dBias!.Value)[h * count + i / length, i % length] += biases[i].Total;
        }
    }
}
