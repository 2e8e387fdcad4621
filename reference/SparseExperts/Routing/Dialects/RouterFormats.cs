namespace SparseExperts.Routing;

/// <summary>
/// The stages of a router that a library keeps in float32 whatever format its model has, as its calls in bfloat16 show. A stage that nobody names is
/// computed in the format of the tokens.
/// </summary>
static class RouterFormats
{
    /// <summary>Softmax or sigmoid of logits that were cast to float32; the gates are cast back.</summary>
    public static Dialect Float32Scores(this Dialect d) => d.InTokensFormat() with { ScoreDtype = NumberFormat.Float32 };

    /// <summary>Scores, and gates that are not cast back.</summary>
    public static Dialect Float32ScoresAndGates(this Dialect d) => d.Float32Scores() with { GateDtype = NumberFormat.Float32 };

    /// <summary>Tokens and weight are cast to float32 before they meet, and nothing behind them is cast back.</summary>
    public static Dialect Float32Router(this Dialect d) => d.Float32ScoresAndGates() with { RouterDtype = NumberFormat.Float32 };

    /// <summary>The weight is kept in float32 too.</summary>
    public static Dialect Float32RouterAndWeight(this Dialect d) => d.Float32Router() with { RouterWeightDtype = NumberFormat.Float32 };

    /// <summary>The gates are cast to the format of the tokens.</summary>
    public static Dialect GatesInTokensFormat(this Dialect d) => d with { GateDtype = null };

    /// <summary>Every stage of the router is computed in the format of the tokens.</summary>
    public static Dialect InTokensFormat(this Dialect d) =>
        d with { RouterWeightDtype = null, RouterDtype = null, LogitsDtype = null, ScoreDtype = null, GateDtype = null };
}
