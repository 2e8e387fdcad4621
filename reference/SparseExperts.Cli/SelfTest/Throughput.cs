using System.Diagnostics;
using System.Globalization;
using System.Text;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Cli.SelfTest;

/// <summary>How fast a backend is: products, grouped products, attention, and whole training steps. One line each, to be read and not judged.</summary>
static class Throughput
{
    const double Second = 0.4;

    public static IEnumerable<string> Measure(IBackend backend, int maxSize)
    {
        foreach (var size in new[] { 512, 1024, 2048, 4096 }.Where(s => s <= maxSize)) yield return Product(backend, size);
        if (maxSize >= 512) yield return Grouped(backend, 8192, 16, 512, 2048);
        foreach (var (heads, width) in new[] { (8, 64), (4, 128) })
            if (maxSize >= 512)
                foreach (var line in Attention(backend, AttentionShape.OfSelf(8, 512, heads, width, 0.125, true))) yield return line;
        foreach (var (name, model, batch) in Models().Where(m => m.Model.Width <= maxSize)) yield return Step(backend, name, model, batch);
    }

    static IEnumerable<(string Name, ModelConfig Model, int Batch)> Models()
    {
        var model = new ModelConfig();
        yield return ("default preset", model, new TrainingConfig().Batch);
        yield return ("width 512, 16 experts of 2048, 8 × 512 bytes", model with { Width = 512, HeadWidth = 64, Hidden = 2048, Layers = 4, Context = 512 }, 8);
    }

    static string Product(IBackend backend, int size)
    {
        Matrix a = Filled(backend, size, size), b = Filled(backend, size, size), c = backend.Rent(size, size);
        var seconds = Time(backend, c, () => backend.Gemm(a, false, b, false, c, false));
        foreach (var m in new[] { a, b, c }) backend.Return(m.Storage);
        return Line($"product {size}³", 2.0 * size * size * size, seconds);
    }

    static string Grouped(IBackend backend, int rows, int groups, int width, int hidden)
    {
        Matrix a = Filled(backend, rows, width), b = Filled(backend, groups * width, hidden), c = backend.Rent(rows, hidden);
        var offsets = backend.Upload([.. Enumerable.Range(0, groups + 1).Select(g => rows * g / groups)]);
        var seconds = Time(backend, c, () => backend.GemmGrouped(a, b, false, c, offsets, false));
        foreach (var storage in new[] { a.Storage, b.Storage, c.Storage, offsets.Storage }) backend.Return(storage);
        return Line($"{groups} experts, {rows} rows, {width} → {hidden}", 2.0 * rows * width * hidden, seconds);
    }

    static IEnumerable<string> Attention(IBackend backend, AttentionShape shape)
    {
        List<Matrix> rented = [];
        Matrix Made(int rows, int columns) => Kept(Filled(backend, rows, columns));
        Matrix Kept(Matrix matrix) { rented.Add(matrix); return matrix; }
        Matrix q = Made(shape.QueryRows, shape.Width), k = Made(shape.KeyRows, shape.Width), v = Made(shape.KeyRows, shape.Width);
        Matrix dy = Made(shape.QueryRows, shape.Width), dq = Made(shape.QueryRows, shape.Width);
        Matrix dk = Made(shape.KeyRows, shape.Width), dv = Made(shape.KeyRows, shape.Width);
        var (rows, columns) = backend.AttentionSaved(shape);
        Matrix saved = Kept(backend.Rent(rows, columns)), y = Kept(backend.Rent(shape.QueryRows, shape.Width));
        var product = 1.0 * shape.ScoreRows * shape.Keys * shape.HeadWidth;               // half of the scores are seen
        var what = $"{shape.Sequences} × {shape.Queries}, {shape.Heads} heads of {shape.HeadWidth}";
        var forward = Time(backend, y, () => backend.Attention(shape, q, k, v, default, saved, y));
        yield return Line($"causal attention {what}", 2 * product, forward);
        var backward = Time(backend, dv, () => backend.AttentionBackward(shape, q, k, v, default, saved, y, dy, dq, false, dk, false, dv, false, null, null));
        yield return Line($"its gradients {what}", 5 * product, backward);
        foreach (var m in rented) backend.Return(m.Storage);
    }

    /// <summary>Steps that go ahead before somebody waits, as a run logs every twentieth.</summary>
    const int Unheard = 20;

    static string Step(IBackend backend, string name, ModelConfig model, int batch)
    {
        var words = string.Concat(Enumerable.Range(0, 20000).Select(i => $"{i * i % 997} of {i % 13}, "));
        var text = ByteText.FromBytes("words", Encoding.ASCII.GetBytes(words), model.Context);
        var trainer = new Trainer(backend, model, new() { Batch = batch, Steps = 100, WarmUp = 2 });
        trainer.Train(text, 0, details: false);
        trainer.Train(text, 0, details: false);
        var clock = Stopwatch.StartNew();
        var steps = 0;
        var batches = new ByteBatches(text, trainer.Config.Seed, batch, model);
        while (steps == 0 || clock.Elapsed.TotalSeconds < 5 * Second)
        {
            for (var i = 0; i < Unheard; i++, steps++) trainer.Advance(batches, 0);
            trainer.Settle();
        }
        var seconds = clock.Elapsed.TotalSeconds / steps;
        return string.Create(CultureInfo.InvariantCulture, $"{"step, " + name,-60} {1000 * seconds,10:F2} ms {batch * model.Context / seconds,14:N0} bytes/s");
    }

    /// <summary>Seconds a call: the median of five rounds, each long enough to time and closed by a read.</summary>
    static double Time(IBackend backend, Matrix result, Action call)
    {
        var one = new float[1];
        void Wait() => backend.Read(result.Storage, result.Offset, (Span<float>)one);
        call();
        Wait();
        var clock = Stopwatch.StartNew();
        call();
        Wait();
        var calls = Math.Clamp((int)(Second / 5 / clock.Elapsed.TotalSeconds), 1, 2000);
        var rounds = new double[5];
        for (var r = 0; r < rounds.Length; r++)
        {
            clock.Restart();
            for (var i = 0; i < calls; i++) call();
            Wait();
            rounds[r] = clock.Elapsed.TotalSeconds / calls;
        }
        Array.Sort(rounds);
        return rounds[2];
    }

    static Matrix Filled(IBackend backend, int rows, int columns)
    {
        var values = new float[rows * columns];
        for (var i = 0; i < values.Length; i++) values[i] = (float)Philox.Normal(new RandomStream(1, 1), (ulong)i);
        var matrix = backend.Rent(rows, columns);
        backend.Write(matrix.Storage, matrix.Offset, (ReadOnlySpan<float>)values);
        return matrix;
    }

    static string Line(string what, double operations, double seconds) =>
        string.Create(CultureInfo.InvariantCulture, $"{what,-60} {1000 * seconds,10:F3} ms {operations / seconds / 1e9,14:N0} GFLOP/s");
}
