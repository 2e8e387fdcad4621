namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix probabilities, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, bias, pad, probabilities, y);
        View<T> queries = new(q), keys = new(k), values = new(v), p = new(probabilities), output = new(y);
        var scale = T.Of(shape.Scale);
        for (var b = 0; b < shape.Sequences; b++)
            for (var h = 0; h < shape.Heads; h++)
                for (var i = 0; i < shape.Length; i++)
                {
                    int row = (b * shape.Heads + h) * shape.Length + i, token = b * shape.Length + i, first = h * shape.HeadWidth;
                    var visible = shape.Causal ? i + 1 : shape.Length;
                    var (at, max) = (-1, NegativeInfinity);
                    for (var j = 0; j < visible; j++)
                    {
                        var dot = Zero;
                        for (var d = 0; d < shape.HeadWidth; d++) dot = T.Fma(queries[token, first + d], keys[b * shape.Length + j, first + d], dot);
                        var score = dot * scale;
                        if (bias is { } extra) score += new View<T>(extra)[h * shape.Length + i, j];
                        if (pad is { } mask) score += new View<T>(mask)[b, j];
                        p[row, j] = score;
                        if (score.Value > max.Value) (at, max) = (j, score);
                    }
                    var lanes = new Lanes<T>();
                    for (var j = 0; j < visible; j++) lanes.Add(j, p[row, j] = T.Exp(Below(p[row, j], max, j == at)));
                    var sum = lanes.Join();
                    for (var j = 0; j < shape.Length; j++) p[row, j] = j < visible ? p[row, j] / sum : Zero;
                    for (var d = first; d < first + shape.HeadWidth; d++)
                    {
                        var mixed = Zero;
                        for (var j = 0; j < visible; j++) mixed = T.Fma(p[row, j], values[b * shape.Length + j, d], mixed);
                        output[token, d] = mixed + Zero;
                    }
                }
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix probabilities, Matrix dy,
        Matrix dq, Matrix dk, Matrix dv, bool accumulate, Matrix? dBias)
    {
        Check.Attention(this, "AttentionBackward", shape, q, k, v, dBias, null, probabilities, dy);
        Check.Attention(this, "AttentionBackward", shape, dq, dk, dv, null, null, probabilities, dy);
        View<T> queries = new(q), keys = new(k), values = new(v), p = new(probabilities), g = new(dy), gq = new(dq), gk = new(dk), gv = new(dv);
        var scale = T.Of(shape.Scale);
        var scores = new T[shape.Length, shape.Length];
        var sequences = new SumTree(shape.Sequences, 1);
        for (var h = 0; h < shape.Heads; h++)
        {
            var biases = new Partials<T>[dBias is null ? 0 : shape.Length * shape.Length];
            for (var i = 0; i < biases.Length; i++) biases[i] = new(sequences);
            for (var b = 0; b < shape.Sequences; b++)
            {
                int rows = (b * shape.Heads + h) * shape.Length, tokens = b * shape.Length, first = h * shape.HeadWidth;
                for (var i = 0; i < shape.Length; i++)
                {
                    var lanes = new Lanes<T>();
                    for (var j = 0; j < shape.Length; j++)
                    {
                        var dot = Zero;
                        for (var d = first; d < first + shape.HeadWidth; d++) dot = T.Fma(g[tokens + i, d], values[tokens + j, d], dot);
                        scores[i, j] = dot;
                        lanes.AddProduct(j, p[rows + i, j], dot);
                    }
                    var mean = lanes.Join();
                    for (var j = 0; j < shape.Length; j++)
                    {
                        var slope = p[rows + i, j] * (scores[i, j] - mean);
                        if (dBias is not null) biases[i * shape.Length + j].Push(slope, sequences[b].Joins);
                        scores[i, j] = slope * scale;
                    }
                }
                for (var d = first; d < first + shape.HeadWidth; d++)
                    for (var i = 0; i < shape.Length; i++)
                    {
                        T sumQ = accumulate ? gq[tokens + i, d] : Zero, sumK = accumulate ? gk[tokens + i, d] : Zero, sumV = accumulate ? gv[tokens + i, d] : Zero;
                        for (var j = 0; j < shape.Length; j++)
                        {
                            sumQ = T.Fma(scores[i, j], keys[tokens + j, d], sumQ);
                            sumK = T.Fma(scores[j, i], queries[tokens + j, d], sumK);
                            sumV = T.Fma(p[rows + j, i], g[tokens + j, d], sumV);
                        }
                        (gq[tokens + i, d], gk[tokens + i, d], gv[tokens + i, d]) = (sumQ + Zero, sumK + Zero, sumV + Zero);
                    }
            }
            for (var i = 0; i < biases.Length; i++) new View<T>(dBias!.Value)[h * shape.Length + i / shape.Length, i % shape.Length] += biases[i].Total;
        }
    }
}
