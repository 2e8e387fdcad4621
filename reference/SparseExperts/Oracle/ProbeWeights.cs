using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>The tensors of a probe that only some dialects read, in small multiples of 1/16.</summary>
/// <param name="numbers">So many of them, the same on every machine.</param>
sealed class ProbeWeights(Dialect dialect, int experts, int width, Func<int, double[]> numbers)
{
    const int RouterWidth = 4, LatentWidth = 5;

    readonly List<CaseTensor> _tensors = [];

    /// <summary>Width of the routed experts.</summary>
    public int ExpertWidth => dialect.LatentExperts ? LatentWidth : width;

    /// <summary>The leading sizes of the shared experts' tensors.</summary>
    public long[] Shared => dialect.SharedInGates ? [LayerShape.SharedExpertsInGates] : dialect.SharedChoices > 1 ? [dialect.SharedChoices] : [];

    /// <summary>Width that the router's last matrix reads.</summary>
    public int LastWidth => dialect.Router == RouterForm.Mlp ? RouterWidth : width;

    public IReadOnlyList<CaseTensor> Router(int groups, int size)
    {
        _tensors.Clear();
        if (dialect.RouterNorm) Add("router.norm", width);
        if (dialect.ExpertScale) Add("router.expert_scale", experts);
        if (dialect.GlobalScale) Add("router.global_scale", 1);
        if (dialect.SharedInGates) Add("router.shared_weight", LayerShape.SharedExpertsInGates, width);
        if (dialect.Router == RouterForm.ProductKeys) Add("router.keys.weight", 2 * (int)Math.Sqrt(experts), width);
        if (dialect.Router != RouterForm.Mlp) return [.. _tensors];
        Add("router.down.weight", RouterWidth, width);
        Add("router.down.bias", RouterWidth);
        Add("router.previous", groups, size, RouterWidth);
        Add("router.previous_scale", RouterWidth);
        foreach (var row in (string[])["norm", "b1", "b2"]) Add($"router.mlp.{row}", RouterWidth);
        foreach (var matrix in (string[])["w1", "w2"]) Add($"router.mlp.{matrix}", RouterWidth, RouterWidth);
        return [.. _tensors];
    }

    public IReadOnlyList<CaseTensor> Experts()
    {
        _tensors.Clear();
        if (dialect.LatentExperts)
        {
            Add("experts.in", LatentWidth, width);
            Add("experts.out", width, LatentWidth);
        }
        if (dialect.ExpertsInNorm) Add("experts.in_norm", LatentWidth);
        if (dialect.ExpertsPostNorm) Add("experts.post_norm", LatentWidth);
        if (dialect.OutputBias) Add("experts.output_bias", width);
        return [.. _tensors];
    }

    void Add(string name, params long[] shape) =>
        _tensors.Add(new(name, "F32", shape, numbers((int)shape.Aggregate((a, b) => a * b))));
}
