using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>
/// What a model computes in while its optimizer keeps float32 weights (Fedus et al. 2022, section 2.4): weights are rounded where they are used, and every
/// op gives the float32 result rounded once. Gradients and the loss stay float32.
/// </summary>
public enum ModelFormat
{
    /// <summary>Nothing is rounded.</summary>
    Float32,

    /// <summary>Everything is bfloat16, routers too.</summary>
    Bfloat16,

    /// <summary>Everything is bfloat16 but the routers: they read bfloat16 tokens, compute in float32, and hand on bfloat16 gates.</summary>
    Selective,
}

static class ModelFormats
{
    /// <summary>Of tokens, weights and experts.</summary>
    public static NumberFormat Numbers(this ModelFormat format) => format == ModelFormat.Float32 ? NumberFormat.Float32 : NumberFormat.BFloat16;

    /// <summary>The dialect with its router in the format.</summary>
    public static Dialect Of(this ModelFormat format, Dialect dialect) => format switch
    {
        ModelFormat.Float32 => dialect,
        ModelFormat.Bfloat16 => Router(dialect, NumberFormat.BFloat16),
        ModelFormat.Selective => Router(dialect, NumberFormat.Float32),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "unknown format of a model"),
    };

    static Dialect Router(Dialect dialect, NumberFormat format) =>
        dialect with { RouterDtype = format, ScoreDtype = format, GateDtype = NumberFormat.BFloat16 };
}
