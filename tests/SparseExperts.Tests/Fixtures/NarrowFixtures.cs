using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Fixtures;

/// <summary>
/// What PyTorch's own ops do in bfloat16 and float16: an op is its float32 definition, rounded once, but where the library rounds inside (below). Every
/// recorded number must be R(v) of a number v that float32 may compute, so that it is met to the bit wherever v is not on the boundary between two.
/// </summary>
sealed class NarrowFixtures : IDisposable
{
    readonly Fixture _fixture;
    readonly NumberFormat _format;
    readonly ScalarBackend<Tracked> _backend = new();
    readonly Tape _tape;

    NarrowFixtures(Fixture fixture)
    {
        (_fixture, _tape) = (fixture, new(_backend));
        _format = fixture.DType == "f16" ? NumberFormat.Float16 : NumberFormat.BFloat16;
    }

    public static void Check(Fixture fixture)
    {
        using var call = new NarrowFixtures(fixture);
        foreach (var (name, numbers) in call.Results()) call.Compare(name, numbers);
    }

    Dictionary<string, Tracked[]> Results() => _fixture.Op switch
    {
        "matmul" => Plain(x => _tape.Linear(x("x"), x("w"), transpose: true)),
        "linear" => Plain(x => _tape.Add(_tape.Linear(x("x"), x("w"), transpose: true), _tape.RepeatRow(x("b"), x("x")))),
        "gelu_erf" => Plain(x => _tape.Activate(Activation.GeluErf, x("x"))),
        "gelu_tanh" => Plain(x => _tape.Activate(Activation.GeluTanh, x("x"))),
        "silu" => Plain(x => _tape.Activate(Activation.Silu, x("x"))),
        "softmax" => Plain(x => Stored(_tape.Softmax(x("x")))),                 // its gradient starts from the rounded probabilities
        "log_softmax" => Plain(x => RoundedLogSoftmax(x("x"))),
        "attention" => AttentionFixtures.Attention<Tracked>(_fixture),
        "cross_entropy" => CrossEntropy(),
        "embedding" => Embedding(),
        "layer_norm" => LayerNorm(),
        "rms_norm" when _fixture.Text("form").Contains("rounded", StringComparison.Ordinal) => RoundedRmsNorm(),
        "rms_norm" => Plain(x => _tape.RmsNorm(x("x"), x("weight"), _fixture.Number("eps"))),
        var other => throw new NotSupportedException($"no op '{other}' among the fixtures that this library knows in narrow formats"),
    };

    /// <summary>Where R( ) may lead from a number that is known to within an error: nearly always to one place.</summary>
    (double Low, double High) Rounded(Tracked number) => (Rounding.To(_format, number.Value - number.Error), Rounding.To(_format, number.Value + number.Error));

    Tracked Round(Tracked number)
    {
        var (low, high) = Rounded(number);
        var value = Rounding.To(_format, number.Value);
        return new(value, Math.Max(high - value, value - low));
    }

    /// <summary>a + b, without an error where float32 makes none: sums of narrow numbers often lie in the very middle between two others.</summary>
    static Tracked Sum(Tracked a, Tracked b) =>
        a.Error == 0 && b.Error == 0 && a.Value + b.Value is var sum && (float)sum == sum ? new(sum, 0) : a + b;

    void Compare(string name, Tracked[] numbers)
    {
        var expected = _fixture.Doubles(name);
        Assert.Equal(expected.Length, numbers.Length);
        // Bounds that leave much open would prove nothing; where a gradient cancels to nothing they do.
        var largest = numbers.Max(n => Math.Abs(n.Value));
        var open = numbers.Count(n => Rounded(n) is var (low, high) && low != high && Math.Abs(n.Value) > largest / (1 << 20));
        Assert.True(open <= numbers.Length / 5, $"{name}: float32 leaves {open} of {numbers.Length} numbers open");
        // PyTorch's float16 layer norm leaves x's gradient a unit off in four of a hundred numbers .
        var isLoose = _fixture.Op == "layer_norm" && _format == NumberFormat.Float16 && name == "grad.x";
        bool IsMet(int i) => Rounded(numbers[i]) is var (low, high) && low <= expected[i] && expected[i] <= high;
        int[] wrong = [.. Enumerable.Range(0, expected.Length).Where(i => !IsMet(i))];
        bool IsNeighbour(int i) => Math.Abs(expected[i] - numbers[i].Value) <= 3 * Rounding.HalfUnit(_format, Math.Abs(expected[i]));
        if (wrong.Length == 0 || isLoose && wrong.Length <= 0.05 * expected.Length && wrong.All(IsNeighbour)) return;
        var (from, to) = Rounded(numbers[wrong[0]]);
        Assert.Fail(string.Create(CultureInfo.InvariantCulture,
            $"{name}[{wrong[0]}]: recorded {expected[wrong[0]]:R}, but it rounds to {from:R} … {to:R} ({wrong.Length} of {expected.Length})"));
    }

    Matrix Upload(string name)
    {
        var (rows, columns) = _fixture.MatrixShape(name);
        return Upload(rows, columns, _fixture.Doubles(name));
    }

    Matrix Upload(int rows, int columns, double[] values, double[]? errors = null)
    {
        var matrix = _tape.Rent(rows, columns);
        _backend.WriteErrors(matrix, values, errors ?? []);
        return matrix;
    }

    /// <summary>Rounded in place: what later ops and the op's own gradient read.</summary>
    Tensor Stored(Tensor tensor)
    {
        Store(tensor.Value);
        return tensor;
    }

    void Store(Matrix matrix)
    {
        var numbers = Array.ConvertAll(_backend.Elements(matrix), Round);
        _backend.WriteErrors(matrix, Array.ConvertAll(numbers, n => n.Value), Array.ConvertAll(numbers, n => n.Error));
    }

    Dictionary<string, Tracked[]> Plain(Func<Func<string, Tensor>, Tensor> op)
    {
        Dictionary<string, Tensor> inputs = [];
        var y = op(name => inputs.TryGetValue(name, out var known) ? known : inputs[name] = _tape.Input(Upload($"in.{name}")));
        _tape.Backward([(y, Upload("cot.y"))]);
        var results = inputs.ToDictionary(i => $"grad.{i.Key}", i => _backend.Elements(i.Value.Gradient));
        results["out.y"] = _backend.Elements(y.Value);
        return results;
    }

    /// <summary>R(x − max − R(log R(Σ e^{x − max}))); its gradient starts from these.</summary>
    Tensor RoundedLogSoftmax(Tensor x)
    {
        var y = _tape.LogSoftmax(x);
        var numbers = _backend.Elements(x.Value);
        for (var r = 0; r < x.Rows; r++)
        {
            var row = numbers.AsSpan(r * x.Columns, x.Columns);
            Tracked largest = Tracked.Of(row.ToArray().Max(n => n.Value)), sum = Tracked.Of(0);
            foreach (var number in row) sum += Tracked.Exp(number - largest);
            var logarithm = Round(Tracked.Log(Round(sum)));
            for (var c = 0; c < row.Length; c++) row[c] = Round(Sum(Sum(row[c], -largest), -logarithm));
        }
        _backend.WriteErrors(y.Value, Array.ConvertAll(numbers, n => n.Value), Array.ConvertAll(numbers, n => n.Error));
        return y;
    }

    /// <summary>R(R(Σ −y_label) / n) over the labels that count, y the rounded log-probabilities; back from R(c / n).</summary>
    Dictionary<string, Tracked[]> CrossEntropy()
    {
        var x = _tape.Input(Upload("in.logits"));
        var y = RoundedLogSoftmax(x);
        var labels = _fixture.Integers("in.labels");
        var ignored = (int)_fixture.Number("ignore_index");
        var n = Tracked.Of(labels.Count(l => l != ignored));
        var share = Round(Tracked.Of(_fixture.Doubles("cot.y")[0]) / n);
        double[] cotangent = new double[y.Value.Count], errors = new double[cotangent.Length];
        var numbers = _backend.Elements(y.Value);
        var sum = Tracked.Of(0);
        for (var r = 0; r < labels.Length; r++)
        {
            if (labels[r] == ignored) continue;
            var at = r * y.Columns + labels[r];
            sum -= numbers[at];
            (cotangent[at], errors[at]) = (-share.Value, share.Error);
        }
        _tape.Backward([(y, Upload(y.Rows, y.Columns, cotangent, errors))]);
        return new() { ["out.y"] = [Round(sum) / n], ["grad.logits"] = _backend.Elements(x.Gradient) };
    }

    /// <summary>A row's gradient is a chain in order of use, rounded at every addition.</summary>
    Dictionary<string, Tracked[]> Embedding()
    {
        var (rows, columns) = _fixture.MatrixShape("in.weight");
        var ids = _fixture.Integers("in.ids");
        double[] weight = _fixture.Doubles("in.weight"), cotangent = _fixture.Doubles("cot.y");
        Tracked[] y = new Tracked[ids.Length * columns], dw = new Tracked[rows * columns];
        for (var i = 0; i < y.Length; i++)
        {
            var at = ids[i / columns] * columns + i % columns;
            y[i] = Tracked.Of(weight[at]);
            dw[at] = Round(Sum(dw[at], Tracked.Of(cotangent[i])));
        }
        return new() { ["out.y"] = y, ["grad.weight"] = dw };
    }

    /// <summary>Mean and 1/σ are saved rounded for x's gradient; the parameters' gradients are chains over rows, rounded at every addition.</summary>
    Dictionary<string, Tracked[]> LayerNorm()
    {
        Matrix x = Upload("in.x"), weight = Upload("in.weight"), bias = Upload("in.bias"), dy = Upload("cot.y");
        Matrix y = _tape.Rent(x.Rows, x.Columns), dx = _tape.Rent(x.Rows, x.Columns), statistics = _tape.Rent(x.Rows, 2);
        Matrix dWeight = _tape.Rent(1, x.Columns), dBias = _tape.Rent(1, x.Columns);
        _backend.LayerNorm(x, weight, bias, _fixture.Number("eps"), y, statistics);
        Store(statistics);
        _backend.LayerNormBackward(x, weight, statistics, dy, x.Rows, dx, false, dWeight, dBias, false);
        Tracked[] tokens = _backend.Elements(x), saved = _backend.Elements(statistics), cotangent = _backend.Elements(dy);
        Tracked[] dw = new Tracked[x.Columns], db = new Tracked[x.Columns];
        for (var i = 0; i < tokens.Length; i++)
        {
            int r = i / x.Columns, c = i % x.Columns;
            dw[c] = Round(dw[c] + cotangent[i] * (tokens[i] - saved[r * 2]) * saved[r * 2 + 1]);
            db[c] = Round(Sum(db[c], cotangent[i]));
        }
        return new() { ["out.y"] = _backend.Elements(y), ["grad.x"] = _backend.Elements(dx), ["grad.weight"] = dw, ["grad.bias"] = db };
    }

    /// <summary>R(weight·R(x / rms)), each step with a rounded gradient of its own.</summary>
    Dictionary<string, Tracked[]> RoundedRmsNorm()
    {
        var x = _tape.Input(Upload("in.x"));
        var columns = x.Columns;
        double[] ones = new double[columns];
        Array.Fill(ones, 1);
        var hat = _tape.RmsNorm(x, _tape.Constant(Upload(1, columns, ones)), _fixture.Number("eps"));
        Tracked[] rounded = Array.ConvertAll(_backend.Elements(hat.Value), Round);
        Tracked[] weight = _backend.Elements(Upload("in.weight")), dy = _backend.Elements(Upload("cot.y"));
        Tracked[] y = new Tracked[dy.Length], slope = new Tracked[dy.Length], dw = new Tracked[columns];
        for (var i = 0; i < dy.Length; i++)
        {
            (y[i], slope[i]) = (weight[i % columns] * rounded[i], Round(dy[i] * weight[i % columns]));
            dw[i % columns] += Round(dy[i] * rounded[i]);
        }
        _tape.Backward([(hat, Upload(x.Rows, columns, Array.ConvertAll(slope, s => s.Value), Array.ConvertAll(slope, s => s.Error)))]);
        return new() { ["out.y"] = y, ["grad.x"] = _backend.Elements(x.Gradient), ["grad.weight"] = dw };
    }

    public void Dispose() => _backend.Dispose();
}
