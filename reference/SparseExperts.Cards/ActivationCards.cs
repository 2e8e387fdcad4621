namespace SparseExperts;

/// <summary>The non-linear functions, alone and as gates.</summary>
static class ActivationCards
{
    public static IEnumerable<OpCard> All =>
        Enum.GetValues<Activation>().Select(Activate).Concat(Enum.GetValues<Activation>().Select(Gated));

    static OpCard Activate(Activation kind) => new()
    {
        Name = $"Activate {kind}",
        Family = "pointwise",
        Formula = $"y = f(x), f(x) = {Text(kind).Formula}",
        Gradient = $"dx (+)= dy · f'(x), f'(x) = {Text(kind).Slope}",
        Source = Text(kind).Source,
        SpecialValues = "NaN stays NaN." + (kind == Activation.Relu ? " f'(0) = 0." : ""),
        Exactness = ExactnessOf(kind),
        Case = (draw, e) => new("Activate")
        {
            Inputs = [Arguments(kind, draw.Input("x", e.Rows, e.Columns, 1))],
            Outputs = [new("y", e.Rows, e.Columns) { Batch = 1 }],
            Parameters = new Dictionary<string, object> { ["kind"] = kind },
        },
        MoreEdges = draw =>
        [
            new("Activate")
            {
                Inputs = [new("x", 1, Breakpoints.Length, Breakpoints) { Differentiable = true, Batch = 1 }],
                Outputs = [new("y", 1, Breakpoints.Length) { Batch = 1 }],
                Parameters = new Dictionary<string, object> { ["kind"] = kind },
            },
        ],
        Forward = (b, c) => b.Activate(kind, c["x"], c["y"]),
        Backward = (b, c) => b.ActivateBackward(kind, c["x"], c["dy"], c["dx"], c.Accumulate),
        Kinks = kind != Activation.Relu ? [] :
        [
            new(new("Activate")
            {
                Inputs = [new("x", 1, 2, [0.0, -0.0]) { Differentiable = true, OldGradient = [5, 5] }],
                Outputs = [new("y", 1, 2) { Cotangent = [3, 3] }],
                Parameters = new Dictionary<string, object> { ["kind"] = kind },
            }, "dx", [0, 0]),
        ],
        Errors =
        [
            new("destination", (b, _) => b.Activate(kind, b.Rent(2, 3), b.Rent(3, 2)), "Activate: X is 2×3, Y is 3×2; make the shapes equal"),
            new("cotangent", (b, _) => b.ActivateBackward(kind, b.Rent(2, 3), b.Rent(3, 2), b.Rent(2, 3), false),
                "ActivateBackward: X is 2×3, dY is 3×2; make the shapes equal"),
        ],
    };

    /// <summary>Where the function has a real value.</summary>
    static OpInput Arguments(Activation kind, OpInput drawn) =>
        kind is Activation.Sqrt or Activation.Log ? drawn with { Values = [.. drawn.Values.Select(Math.Abs)] } : drawn;

    static OpCard Gated(Activation kind) => new()
    {
        Name = $"Gated {kind}",
        Family = "pointwise",
        Formula = $"y = f(gate) · linear, f(x) = {Text(kind).Formula}",
        Gradient = $"dgate (+)= dy · linear · f'(gate), dlinear (+)= dy · f(gate), f'(x) = {Text(kind).Slope}",
        Source = "Shazeer 2020, eq. 5–6",
        SpecialValues = "0·∞ is NaN, also behind a closed gate.",
        Exactness = kind is Activation.Relu or Activation.Identity
            ? new Bitwise()
            : ExactnessOf(kind) as Reduction ?? new Reduction("f(gate), then one product"),
        Case = (draw, e) => new("Gated")
        {
            Inputs = [Arguments(kind, draw.Input("gate", e.Rows, e.Columns, 1)), draw.Input("linear", e.Rows, e.Columns, 1)],
            Outputs = [new("y", e.Rows, e.Columns) { Batch = 1 }],
            Parameters = new Dictionary<string, object> { ["kind"] = kind },
        },
        MoreEdges = draw =>
        [
            new("Gated")
            {
                Inputs = [new("gate", 1, Breakpoints.Length, Breakpoints) { Differentiable = true, Batch = 1 }, draw.Input("linear", 1, Breakpoints.Length, 1)],
                Outputs = [new("y", 1, Breakpoints.Length) { Batch = 1 }],
                Parameters = new Dictionary<string, object> { ["kind"] = kind },
            },
        ],
        Forward = (b, c) => b.Gated(kind, c["gate"], c["linear"], c["y"]),
        Backward = (b, c) => b.GatedBackward(kind, c["gate"], c["linear"], c["dy"], c["dgate"], c.Accumulate, c["dlinear"], c.Accumulate),
        Kinks = kind != Activation.Relu ? [] :
        [
            new(new("Gated")
            {
                Inputs =
                [
                    new("gate", 1, 2, [0.0, -0.0]) { Differentiable = true, OldGradient = [5, 5] },
                    new("linear", 1, 2, [2, 2]) { Differentiable = true, OldGradient = [5, 5] },
                ],
                Outputs = [new("y", 1, 2) { Cotangent = [3, 3] }],
                Parameters = new Dictionary<string, object> { ["kind"] = kind },
            }, "dgate", [0, 0]),
        ],
        Errors =
        [
            new("unequal sources", (b, _) => b.Gated(kind, b.Rent(2, 3), b.Rent(2, 4), b.Rent(2, 3)),
                "Gated: gate is 2×3, linear is 2×4; make the shapes equal"),
            new("gradient", (b, _) => b.GatedBackward(kind, b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 3), b.Rent(2, 3), false, b.Rent(3, 2), false),
                "GatedBackward: gate is 2×3, dLinear is 3×2; make the shapes equal"),
        ],
    };

    /// <summary>Of the sigmoid and the softplus 9 ulps: 4 half units each for what eˣ carries and for what comes after it, and one for the last step.</summary>
    static Exactness ExactnessOf(Activation kind) => kind switch
    {
        Activation.Relu or Activation.Identity or Activation.Sqrt => new Bitwise(),
        Activation.Exp => new Ulps(FunctionUlps.Exp),
        Activation.Log => new Ulps(FunctionUlps.Log),
        Activation.Tanh => new Ulps(FunctionUlps.Tanh),
        Activation.Erf => new Ulps(FunctionUlps.Erf),
        Activation.Sigmoid or Activation.Softplus => new Ulps(9),
        Activation.GeluErf => new Reduction("1 + erf"),
        Activation.GeluTanh => new Reduction("1 + tanh"),
        Activation.Silu => new Reduction("1 + e⁻ˣ"),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "say how exact the new activation is"),
    };

    /// <summary>Where the elementary functions change their formula, overflow or saturate, and the floats beside.</summary>
    static double[] Breakpoints =>
    [
        .. from centre in (float[])
           [
               0.625f, 0.3125f, 0.92f, 1.30108f, 4, 5.65686f, 0.34657359f, 1, 8.5f, 17.4f, 38, 88.72284f, 89, 103.97208f, 104,
               1e10f, 1e19f, float.MaxValue, 1.17549435e-38f,
           ]
           from value in (float[])[MathF.BitDecrement(centre), centre, MathF.BitIncrement(centre)]
           from sign in (float[])[1, -1]
           select (double)(value * sign),
        0.0, -0.0, float.Epsilon, -float.Epsilon, double.PositiveInfinity, double.NegativeInfinity, double.NaN,
    ];

    static (string Formula, string Slope, string Source) Text(Activation kind) => kind switch
    {
        Activation.Relu => ("max(x, 0)", "[x > 0]", "Nair & Hinton 2010"),
        Activation.GeluErf => ("½x(1 + erf(x/√2))", "Φ(x) + x·φ(x)", "Hendrycks & Gimpel 2016, section 2"),
        Activation.GeluTanh => ("½x(1 + tanh(√(2/π)(x + 0.044715x³)))", "½(1 + t) + ½x(1 − t²)·√(2/π)(1 + 0.134145x²)", "Hendrycks & Gimpel 2016, section 2"),
        Activation.Silu => ("x·σ(x)", "σ + x·σ(1 − σ)", "Elfwing et al. 2018"),
        Activation.Sigmoid => ("1/(1 + e⁻ˣ)", "σ(1 − σ)", "logistic function"),
        Activation.Tanh => ("tanh x", "1 − tanh² x", "hyperbolic tangent"),
        Activation.Softplus => ("ln(1 + eˣ)", "σ(x)", "Dugas et al. 2001"),
        Activation.Identity => ("x", "1", "identity"),
        Activation.Sqrt => ("√x", "1/(2√x)", "IEEE 754 square root"),
        Activation.Exp => ("eˣ", "eˣ", "exponential function"),
        Activation.Log => ("ln x", "1/x", "natural logarithm"),
        Activation.Erf => ("erf x = 2/√π ∫₀ˣ e^{−t²} dt", "2/√π·e^{−x²}", "error function"),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "give the new activation a formula, a slope and a source here"),
    };
}
