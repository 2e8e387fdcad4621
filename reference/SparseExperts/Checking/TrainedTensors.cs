using SparseExperts.Autograd;
using SparseExperts.Hub;

namespace SparseExperts.Checking;

/// <summary>A tensor of a checkpoint that is trained, and the parameters that its numbers are in.</summary>
sealed record TrainedTensor(HubTensors Table, HubTensor Tensor, IReadOnlyDictionary<string, Parameter> Parameters)
{
    public string Name => Tensor.Name;

    /// <summary>Its gradient in the file's order; 0 where none flowed.</summary>
    public double[] Gradient(Tape tape) => Stored(p => p.HasGradient ? tape.Backend.ToDoubles(p.Gradient) : new double[p.Value.Count]);

    /// <summary>Its values in the file's order.</summary>
    public double[] Values(Tape tape) => Stored(p => tape.Backend.ToDoubles(p.Value));

    double[] Stored(Func<Parameter, double[]> numbers) => Table.ToStored(Tensor, own => numbers(Parameters[own]));
}

/// <summary>What a model trains, by the checkpoint's names.</summary>
static class TrainedTensors
{
    /// <summary>Names of a recording behind a prefix, in order.</summary>
    public static string[] Names(Recording recording, string prefix) =>
        [.. recording.Names.Where(n => n.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    /// <summary>The recording with the checkpoint's names behind a prefix, where it has those of the library's modules.</summary>
    public static Recording Named(Recording recording, HubTensors tensors, string prefix) => recording.Renamed(
        name => name.StartsWith(prefix, StringComparison.Ordinal) && tensors.OfParameter(name[prefix.Length..]) is { } tensor ? prefix + tensor.Name : name);

    public static IReadOnlyList<TrainedTensor> Of(HubTensors tensors, Tape tape)
    {
        var parameters = tape.Parameters.ToDictionary(p => p.Name);
        return [.. tensors.All.Where(t => t.Pieces.All(p => parameters.ContainsKey(p.Own))).Select(t => new TrainedTensor(tensors, t, parameters))];
    }
}
