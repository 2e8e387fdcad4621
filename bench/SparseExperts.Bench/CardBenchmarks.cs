using BenchmarkDotNet.Attributes;
using SparseExperts.Cpu;

namespace SparseExperts.Bench;

/// <summary>Every op card, forward and backward, at the sizes that the default model meets.</summary>
[MemoryDiagnoser]
public class CardBenchmarks
{
    CpuBackend _backend = null!;
    OpCard _card = null!;
    OpCall _call = null!;

    public static IEnumerable<string> Cards => OpCards.All.Select(card => card.Name);

    [ParamsSource(nameof(Cards))]
    public string Card { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        _backend = new CpuBackend();
        _card = OpCards.Named(Card);
        var drawn = _card.At(new Draw(new Random(1)), new(256, 256, 64));
        _call = new OpCall(_backend, drawn);
        foreach (var input in drawn.Inputs)
        {
            _call[input.Name] = Hold(input.Rows, input.Columns, input.Values);
            _call["d" + input.Name] = Hold(input.Rows, input.Columns, []);
        }
        foreach (var output in drawn.Outputs)
        {
            var (rows, columns) = output.Opaque?.Invoke(_backend, drawn) ?? (output.Rows, output.Columns);
            (_call[output.Name], _call["d" + output.Name]) = (Hold(rows, columns, output.Initial), Hold(rows, columns, output.Cotangent));
        }
        foreach (var integers in drawn.Integers) _call.Bind(integers.Name, _backend.Upload(integers.Values));
    }

    Matrix Hold(int rows, int columns, double[] values)
    {
        var matrix = _backend.Rent(rows, columns);
        if (values.Length > 0) _backend.Write(matrix, values);
        else _backend.Fill(matrix, 0);
        return matrix;
    }

    [Benchmark]
    public void Forward() => _card.Forward(_backend, _call);

    [Benchmark]
    public void Backward() => _card.Backward?.Invoke(_backend, _call);

    [GlobalCleanup]
    public void Cleanup() => _backend.Dispose();
}
