using SparseExperts.Routing;

namespace SparseExperts.Describing;

/// <summary>The stages of a sparse layer, and which axes belong to each: a stage begins at an axis and ends where the next begins.</summary>
public static class Pipeline
{
    static readonly (string Stage, string First)[] Begins =
    [
        ("router", "router"), ("scores", "score"), ("selection", "selection"), ("capacity", "capacity_formula"), ("gates", "gate"), ("experts", "activation"),
        ("losses", "balance"), ("groups", "group_size"),
    ];

    /// <summary>Formats stand together in the dialect, and each belongs to its stage.</summary>
    static readonly Dictionary<string, string> Moved = new() { ["score_dtype"] = "scores", ["gate_dtype"] = "gates" };

    static readonly Dictionary<string, string> Stages = Assign();

    /// <summary>Names of the stages in order.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Begins.Select(b => b.Stage)];

    public static string StageOf(DialectAxis axis) => Stages[axis.Name];

    static Dictionary<string, string> Assign()
    {
        var stages = new Dictionary<string, string>();
        var stage = Begins[0].Stage;
        foreach (var axis in DialectAxis.All)
        {
            foreach (var (next, first) in Begins)
                if (axis.Name == first) stage = next;
            stages[axis.Name] = Moved.GetValueOrDefault(axis.Name, stage);
        }
        return stages;
    }
}
