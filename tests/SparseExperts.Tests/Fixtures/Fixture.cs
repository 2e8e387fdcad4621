using System.Globalization;
using System.Text.Json;
using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Fixtures;

/// <summary>One recorded call of PyTorch: inputs, outputs, cotangents, gradients, parameters.</summary>
sealed class Fixture : IDisposable
{
    readonly SafetensorsFile _file;
    readonly Dictionary<string, JsonElement> _parameters;

    public Fixture(string path)
    {
        _file = SafetensorsFile.Open(path);
        Op = _file.Metadata["op"];
        _parameters = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(_file.Metadata["parameters"])!;
    }

    public string Op { get; }

    /// <summary>bf16 or f16 where the call ran in it; null for float64 and float32.</summary>
    public string? DType => _file.Metadata.GetValueOrDefault("dtype");
    public IEnumerable<string> Names(string prefix) => _file.Tensors.Select(t => t.Name).Where(n => n.StartsWith(prefix, StringComparison.Ordinal));
    public bool Has(string name) => _file.Contains(name);
    public int[] Shape(string name) => [.. _file.Tensors.Single(t => t.Name == name).Shape.Select(n => (int)n)];
    public double[] Doubles(string name) => _file.ReadDoubles(name);
    public int[] Integers(string name) => [.. _file.ReadDoubles(name).Select(n => checked((int)n))];

    public double Number(string parameter) => _parameters[parameter].GetDouble();

    public double? NumberOrNull(string parameter)
    {
        if (!_parameters.TryGetValue(parameter, out var value) || value.ValueKind != JsonValueKind.Number) return null;
        return value.GetDouble();
    }
    public bool Flag(string parameter) => _parameters[parameter].GetBoolean();
    public string Text(string parameter) => _parameters[parameter].GetString()!;

    /// <summary>Rows and columns of a tensor read as a matrix: the last dimension is the row.</summary>
    public (int Rows, int Columns) MatrixShape(string name)
    {
        var shape = Shape(name);
        var columns = shape.Length == 0 ? 1 : shape[^1];
        return (shape.Length < 2 ? 1 : shape[..^1].Aggregate(1, (a, b) => a * b), columns);
    }

    public void Dispose() => _file.Dispose();
}

/// <summary>
/// Runs a differentiable computation twice on a fixture's inputs: in double, and in numbers that carry the rounding error that float32
/// would make. The double result must agree with the recorded one within that error scaled from float32 to double (2⁻²⁹), times four: two
/// because the recorder rounds too, two for elementary functions that are not correctly rounded there.
/// </summary>
sealed class FixtureCall(Fixture fixture)
{
    const double ToDouble = 4.0 / (1 << 29);

    /// <param name="build">From the tape and the named inputs to the named outputs.</param>
    public void Check(Func<Tape, Func<string, Tensor>, (string Name, Tensor Output)[]> build)
    {
        Compare(fixture, Compute<Float64>(build), Compute<Tracked>(build));
    }

    public static void Compare(Fixture fixture, Dictionary<string, Float64[]> exact, Dictionary<string, Tracked[]> bounds)
    {
        foreach (var name in exact.Keys)
        {
            var expected = fixture.Doubles(name);
            Assert.Equal(expected.Length, exact[name].Length);
            for (var i = 0; i < expected.Length; i++)
            {
                var tolerance = bounds[name][i].Error * ToDouble + double.Epsilon;
                Assert.True(double.IsFinite(tolerance), $"{name}[{i}]: no bound can be derived");
                Assert.True(Math.Abs(expected[i] - exact[name][i].Value) <= tolerance,
                    string.Create(CultureInfo.InvariantCulture, $"{name}[{i}]: {exact[name][i].Value:R}, recorded {expected[i]:R}, tolerance {tolerance:R}"));
            }
        }
    }

    Dictionary<string, T[]> Compute<T>(Func<Tape, Func<string, Tensor>, (string Name, Tensor Output)[]> build) where T : struct, IReal<T>
    {
        using var backend = new ScalarBackend<T>();
        using var tape = new Tape(backend);
        var inputs = new Dictionary<string, Tensor>();
        Tensor Input(string name)
        {
            if (inputs.TryGetValue(name, out var known)) return known;
            var (rows, columns) = fixture.MatrixShape($"in.{name}");
            var value = tape.Rent(rows, columns);
            backend.Write(value, fixture.Doubles($"in.{name}"));
            return inputs[name] = tape.Input(value);
        }

        var outputs = build(tape, Input);
        var results = outputs.ToDictionary(o => $"out.{o.Name}", o => backend.Elements(o.Output.Value));
        var seeds = outputs.Select(o =>
        {
            var cotangent = tape.Rent(o.Output.Rows, o.Output.Columns);
            backend.Write(cotangent, fixture.Doubles($"cot.{o.Name}"));
            return (o.Output, cotangent);
        }).ToArray();
        tape.Backward(seeds);
        foreach (var (name, tensor) in inputs)
            if (fixture.Has($"grad.{name}")) results[$"grad.{name}"] = backend.Elements(tensor.Gradient);
        return results;
    }
}
