using System.Text.Json;
using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Layers;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Layers;

/// <summary>
/// Calls of Mesh-TensorFlow's Switch gating, recorded from the library itself. Integers must be equal; floats must lie within the float32
/// error bound that the same computation carries along, twice: the recorder rounds too.
/// </summary>
public sealed class MeshSwitchCaseTests
{
    static string Folder => Path.Combine(AppContext.BaseDirectory, "Layers", "data");

    public static TheoryData<string> Cases() => [.. Directory.GetFiles(Folder, "mesh.switch-*.safetensors").Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_switch_layer_agrees_with_the_recorded_call(string name)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Folder, name));
        var parameters = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(file.Metadata["parameters"])!;
        double Number(string key, double otherwise) => parameters.TryGetValue(key, out var value) ? value.GetDouble() : otherwise;
        long[] shape = file.Tensors.Single(t => t.Name == "x").Shape;
        int groups = (int)shape[0], size = (int)shape[1], width = (int)shape[2], experts = (int)file.Tensors.Single(t => t.Name == "router.weight").Shape[0];
        var training = file.Metadata["mode"] == "train";
        var rule = new CapacityRule(Number("capacity_factor", training ? 1.25 : 2), (int)Number("min_capacity", 4));

        using var backend = new ScalarBackend<Tracked>();
        var tape = new Tape(backend);
        Tensor Input(int rows, int columns, double[] values)
        {
            var matrix = backend.Rent(rows, columns);
            backend.Write(matrix, values);
            return tape.Input(matrix);
        }

        var hidden = file.Contains("experts.wi") ? (int)file.Tensors.Single(t => t.Name == "experts.wi").Shape[1] : 1;
        Tensor x = Input(groups * size, width, file.ReadDoubles("x")), router = Input(width, experts, Transposed(file.ReadDoubles("router.weight"), 1, experts, width));
        Tensor wi = Input(experts * width, hidden, Weights("experts.wi", hidden, width)), wo = Input(experts * hidden, width, Weights("experts.wo", width, hidden));
        double[] Weights(string tensor, int rows, int columns) =>
            file.Contains(tensor) ? Transposed(file.ReadDoubles(tensor), experts, rows, columns) : new double[experts * rows * columns];

        var policy = parameters["router_policy"].GetString() switch
        {
            "input_jitter" => RouterPolicy.InputJitter,
            "input_dropout" => RouterPolicy.InputDropout,
            "sample" => RouterPolicy.Sample,
            _ => RouterPolicy.Argmax,
        };
        float[]? Draws(string draw) => file.Contains(draw) ? file.ReadFloats(draw) : null;
        var layer = new SwitchLayer(new()
        {
            Experts = experts,
            Activation = parameters["activation"].GetString() == "relu" ? Activation.Relu : Activation.GeluTanh,
            TrainCapacity = rule,
            EvalCapacity = rule,
            Group = new GroupRule(size),
            Policy = new(policy, Number("jitter", 0.01), Number("input_dropout", 0.1), Number("temperature", 1)),
            BalanceCoefficient = Number("balance_coefficient", 0.01),
            ZLoss = Number("z_coefficient", 0) / Number("balance_coefficient", 0.01),
            Microbatches = (int)Number("microbatches", 1),
        }, router, wi, wo, name);
        float[] importance = file.Contains("padding") ? [.. file.ReadIntegers("padding").Select(p => (float)p)] : [];
        var result = layer.Forward(tape, x, training, default, importance, new RouterDraws(Draws("draws.jitter"), Draws("draws.input_dropout"), Draws("draws.sample")));

        Assert.Equal(file.ReadIntegers("claim.capacity")[0], result.Plan.Capacity);
        Assert.Equal(file.ReadIntegers("claim.expert"), result.Plan.Expert.Select(e => (long)e));
        Assert.Equal(file.ReadIntegers("claim.slot"), result.Plan.Slot.Select(s => (long)s));
        Close("claim.logits", result.Logits.Value);
        Close("claim.scores", result.Probabilities.Value);
        Close("claim.loss.total", result.Loss.Value);
        if (!file.Contains("claim.y")) return;
        Close("claim.y", result.Output.Value);

        Matrix cotangent = tape.Rent(groups * size, width), lossCotangent = tape.Rent(1, 1);
        backend.Write(cotangent, file.ReadDoubles("cotangent.y"));
        backend.Write(lossCotangent, file.ReadDoubles("cotangent.losses"));
        tape.Backward((result.Output, cotangent), (result.Loss, lossCotangent));
        Close("claim.grad.x", x.Gradient);
        CloseTransposed("claim.grad.router.weight", router.Gradient, 1, width, experts);
        CloseTransposed("claim.grad.experts.wi", wi.Gradient, experts, width, hidden);
        CloseTransposed("claim.grad.experts.wo", wo.Gradient, experts, hidden, width);

        void Close(string claim, Matrix matrix) => Compare(claim, backend.Elements(matrix));
        void CloseTransposed(string claim, Matrix matrix, int stack, int rows, int columns) => Compare(claim, Transposed(backend.Elements(matrix), stack, rows, columns));

        void Compare(string claim, Tracked[] ours)
        {
            if (!file.Contains(claim)) return;
            var theirs = file.ReadDoubles(claim);
            Assert.Equal(theirs.Length, ours.Length);
            for (var i = 0; i < theirs.Length; i++)
                Assert.True(Math.Abs(theirs[i] - ours[i].Value) <= 2 * ours[i].Error, $"{claim}[{i}]: {ours[i].Value:R} ± {ours[i].Error:R}, recorded {theirs[i]:R}");
        }
    }

    /// <summary>Stacked matrices [stack, rows, columns] to [stack, columns, rows].</summary>
    static T[] Transposed<T>(T[] values, int stack, int rows, int columns)
    {
        var result = new T[values.Length];
        for (var s = 0; s < stack; s++)
            for (var r = 0; r < rows; r++)
                for (var c = 0; c < columns; c++) result[(s * columns + c) * rows + r] = values[(s * rows + r) * columns + c];
        return result;
    }
}
