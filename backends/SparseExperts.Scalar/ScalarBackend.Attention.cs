namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    /// <summary>Probabilities, row (sequence·heads + head)·queries + query, the sink's behind those of the keys.</summary>
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, shape.Keys + (shape.Sinks ? 1 : 0));

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, terms, saved, y);
        View<T> queries = new(q), keys = new(k), values = new(v), p = new(saved), output = new(y);
        var scale = T.Of(shape.Scale);
        for (var b = 0; b < shape.Sequences; b++)
            for (var h = 0; h < shape.Heads; h++)
                for (var i = 0; i < shape.Queries; i++)
                {
                    int row = (b * shape.Heads + h) * shape.Queries + i, query = b * shape.Queries + i, key = b * shape.Keys, from = h / shape.Group;
                    for (var j = shape.First(i); j < shape.Visible(i); j++)
                    {
                        var dot = Zero;
                        for (var d = 0; d < shape.HeadWidth; d++)
                            dot = T.Fma(queries[query, h * shape.HeadWidth + d], keys[key + j, from * shape.HeadWidth + d], dot);
                        var score = dot * scale;
                        if (terms.Bias is { } extra) score += new View<T>(extra)[h * shape.Queries + i, j];
                        if (terms.Pad is { } mask) score += new View<T>(mask)[mask.Rows == shape.QueryRows ? query : b, j];
                        p[row, j] = score;
                    }
                    if (terms.Sinks is { } sinks) p[row, shape.Keys] = new View<T>(sinks)[0, h];
                    var (first, behind) = Probabilities(shape, p, row, i);
                    for (var d = 0; d < shape.ValueWidth; d++)
                    {
                        var mixed = Zero;
                        for (var j = first; j < behind; j++) mixed = T.Fma(p[row, j], values[key + j, from * shape.ValueWidth + d], mixed);
                        output[query, h * shape.ValueWidth + d] = mixed + Zero;
                    }
                }
    }

    /// <summary>Softmax of a row of scores over the keys that its query sees, whose range it returns, and the sink; 0 elsewhere.</summary>
    static (int First, int Behind) Probabilities(in AttentionShape shape, View<T> p, int row, int query)
    {
        int first = shape.First(query), behind = shape.Visible(query), keys = shape.Keys;
        var (at, max, seesAny) = (-1, NegativeInfinity, false);
        for (var j = first; j < keys + (shape.Sinks ? 1 : 0); j++)
        {
            if (j >= behind && j < keys) continue;
            seesAny |= !double.IsNegativeInfinity(p[row, j].Value);
            if (p[row, j].Value > max.Value) (at, max) = (j, p[row, j]);
        }
        if (!seesAny && shape.BlindSeesAll)
        {
            for (var j = 0; j < keys; j++) p[row, j] = One / T.Of(keys);
            if (shape.Sinks) p[row, keys] = Zero;
            return (0, keys);
        }
        var lanes = new Lanes<T>();
        for (var j = first; j < behind; j++) lanes.Add(j, p[row, j] = T.Exp(Below(p[row, j], max, j == at)));
        var sum = lanes.Join();
        if (shape.Sinks) sum += p[row, keys] = T.Exp(Below(p[row, keys], max, at == keys));
        for (var j = 0; j < keys; j++) p[row, j] = j >= first && j < behind ? p[row, j] / sum : Zero;
        if (shape.Sinks) p[row, keys] /= sum;
        return (first, behind);
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks)
    {
        Check.AttentionBackward(this, shape, q, k, v, terms, saved, y, dy, dq, dk, dv, dBias, dSinks);
        View<T> queries = new(q), keys = new(k), values = new(v), p = new(saved), g = new(dy), gq = new(dq), gk = new(dk), gv = new(dv);
        var scale = T.Of(shape.Scale);
        var (count, length) = (shape.Queries, shape.Keys);
        var scores = new T[count, length];
        var sequences = new SumTree(shape.Sequences, 1);
        for (var h = 0; h < shape.Heads; h++)
        {
            var biases = new Partials<T>[dBias is null ? 0 : count * length];
            for (var i = 0; i < biases.Length; i++) biases[i] = new(sequences);
            var follows = h % shape.Group > 0;          // an earlier head of its group: the chains of dK and dV go on
            int first = h * shape.HeadWidth, firstKey = h / shape.Group * shape.HeadWidth;
            int firstOut = h * shape.ValueWidth, firstValue = h / shape.Group * shape.ValueWidth;
            for (var b = 0; b < shape.Sequences; b++)
            {
                int rows = (b * shape.Heads + h) * count, query = b * count, key = b * length;
                for (var i = 0; i < count; i++)
                {
                    var lanes = new Lanes<T>();
                    for (var j = 0; j < length; j++)
                    {
                        var dot = Zero;
                        for (var d = 0; d < shape.ValueWidth; d++) dot = T.Fma(g[query + i, firstOut + d], values[key + j, firstValue + d], dot);
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
                    if (dSinks is { } own) new View<T>(own)[query + i, h] = p[rows + i, length] * (Zero - mean);
                }
                for (var d = 0; d < shape.HeadWidth; d++)
                {
                    for (var i = 0; i < count; i++)
                    {
                        var sum = accumulateQ ? gq[query + i, first + d] : Zero;
                        for (var j = 0; j < length; j++) sum = T.Fma(scores[i, j], keys[key + j, firstKey + d], sum);
                        gq[query + i, first + d] = sum + Zero;
                    }
                    for (var j = 0; j < length; j++)
                    {
                        var sum = accumulateK || follows ? gk[key + j, firstKey + d] : Zero;
                        for (var i = 0; i < count; i++) sum = T.Fma(scores[i, j], queries[query + i, first + d], sum);
                        gk[key + j, firstKey + d] = sum + Zero;
                    }
                }
                for (var d = 0; d < shape.ValueWidth; d++)
                    for (var j = 0; j < length; j++)
                    {
                        var sum = accumulateV || follows ? gv[key + j, firstValue + d] : Zero;
                        for (var i = 0; i < count; i++) sum = T.Fma(p[rows + i, j], g[query + i, firstOut + d], sum);
                        gv[key + j, firstValue + d] = sum + Zero;
                    }
            }
            for (var i = 0; i < biases.Length; i++) new View<T>(dBias!.Value)[h * count + i / length, i % length] += biases[i].Total;
        }
    }
}
