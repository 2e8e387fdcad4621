using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Why two engines send a token to different experts.</summary>
public enum MismatchCause
{
    /// <summary>The scores that decide lie closer together than the logits' own rounding: either choice is right.</summary>
    Rounding,

    /// <summary>Each engine follows its own numbers, and those differ by more than rounding: logits, draws, or the tokens that compete.</summary>
    Inputs,

    /// <summary>Each engine follows its own logits, and those are the same: the files name different rules.</summary>
    Rule,

    /// <summary>An engine does not follow its own logits.</summary>
    Unexplained,

    /// <summary>The files hold no logits and nothing to compute them from, or experts choose.</summary>
    Unknown,
}

/// <summary>How two engines routed the same tokens of one layer.</summary>
public sealed record RouteComparison
{
    public required string Layer { get; init; }

    /// <summary>Tokens that both files hold as real.</summary>
    public required int Tokens { get; init; }

    /// <summary>Choices of the first engine.</summary>
    public required int Choices { get; init; }

    /// <summary>Tokens whose sets of experts differ.</summary>
    public required int TokensApart { get; init; }

    /// <summary>Choices of the first engine that the second does not share.</summary>
    public required int ChoicesApart { get; init; }

    /// <summary>Tokens with the same experts in another order.</summary>
    public required int Reordered { get; init; }

    /// <summary>Mean over tokens of |A ∩ B| / max(|A|, |B|).</summary>
    public required double Overlap { get; init; }

    /// <summary>Tokens apart, by cause.</summary>
    public required IReadOnlyDictionary<MismatchCause, int> Causes { get; init; }

    /// <summary>Largest |g_A − g_B| where a token has the same expert in both; null where gates are not claimed.</summary>
    public required double? GateLargest { get; init; }

    /// <summary>Mean of the same.</summary>
    public required double? GateMean { get; init; }

    /// <summary>‖y_A − y_B‖ / max(‖y_A‖, ‖y_B‖), 0 where both are 0; null where outputs are not claimed.</summary>
    public required double? Output { get; init; }

    /// <summary>The same over tokens with equal sets.</summary>
    public required double? OutputTogether { get; init; }

    /// <summary>The same over tokens whose sets differ.</summary>
    public required double? OutputApart { get; init; }

    /// <summary>Call, token and engine (1 or 2) of the first departure that nothing explains.</summary>
    public required (string Call, int Token, int Engine)? FirstUnexplained { get; init; }
    /// <param name="backend">A backend whose numbers carry error bounds.</param>
    /// <exception cref="CaseException">The files are not about the same tokens and experts, or claim no routes.</exception>
    public static RouteComparison Of(string layer, Case first, Case second, IBackend backend) => new Comparer(first, second, backend).Run(layer);

    /// <summary>Several calls as one row: numbers add up, means are weighed by tokens, the largest stays the largest.</summary>
    public static RouteComparison Sum(string layer, IReadOnlyList<RouteComparison> calls)
    {
        var tokens = calls.Sum(c => c.Tokens);
        double? Mean(Func<RouteComparison, double?> value, Func<RouteComparison, double> weight)
        {
            var known = calls.Where(c => value(c) is not null && weight(c) > 0).ToArray();
            return known.Length == 0 ? null : known.Sum(c => value(c)!.Value * weight(c)) / known.Sum(weight);
        }
        // Outputs are norms: their squares add.
        double? Norm(Func<RouteComparison, double?> value, Func<RouteComparison, double> weight) =>
            Mean(c => value(c) * value(c), weight) is { } square ? Math.Sqrt(square) : null;
        double? Largest(IEnumerable<double> values) => values.Aggregate((double?)null, (a, b) => Math.Max(a ?? b, b));
        return new()
        {
            Layer = layer,
            Tokens = tokens,
            Choices = calls.Sum(c => c.Choices),
            TokensApart = calls.Sum(c => c.TokensApart),
            ChoicesApart = calls.Sum(c => c.ChoicesApart),
            Reordered = calls.Sum(c => c.Reordered),
            Overlap = Mean(c => c.Overlap, c => c.Tokens) ?? 1,
            Causes = Enum.GetValues<MismatchCause>().ToDictionary(cause => cause, cause => calls.Sum(c => c.Causes[cause])),
            GateLargest = Largest(calls.Select(c => c.GateLargest).OfType<double>()),
            GateMean = Mean(c => c.GateMean, c => c.Tokens),
            Output = Norm(c => c.Output, c => c.Tokens),
            OutputTogether = Norm(c => c.OutputTogether, c => c.Tokens - c.TokensApart),
            OutputApart = Norm(c => c.OutputApart, c => c.TokensApart),
            FirstUnexplained = calls.Select(c => c.FirstUnexplained).FirstOrDefault(f => f is not null),
        };
    }

    /// <summary>A gate or an output is no number, or not finite.</summary>
    public bool HasNaN => GateLargest is { } gate && !double.IsFinite(gate) || Output is { } output && !double.IsFinite(output);

    /// <summary>One plain sentence.</summary>
    public string Say() => Routing() + (HasNaN ? "; some gates or outputs are not finite" : "");

    string Routing()
    {
        if (TokensApart == 0)
        {
            var order = Reordered > 0 ? string.Create(CultureInfo.InvariantCulture, $", {Reordered} of them in another order") : "";
            return string.Create(CultureInfo.InvariantCulture, $"all {Tokens} tokens go to the same experts{order}");
        }
        List<string> parts = [];
        void Part(MismatchCause cause, string text)
        {
            if (Causes[cause] > 0) parts.Add($"{Causes[cause]} {text}");
        }
        Part(MismatchCause.Rounding, "within the rounding of the logits, or tied");
        Part(MismatchCause.Inputs, "because their inputs differ (logits, draws, or other tokens that compete)");
        Part(MismatchCause.Rule, "with the same logits, because the files name different rules (dialect, k or bias)");
        Part(MismatchCause.Unexplained, "against an engine's own logits");
        Part(MismatchCause.Unknown, "for reasons that cannot be told (without logits, or where experts choose)");
        var share = string.Create(CultureInfo.InvariantCulture, $"{TokensApart} of {Tokens} tokens ({(double)TokensApart / Tokens:P2})");
        return $"{share} go to other experts: {string.Join(", ", parts)}";
    }

    /// <summary>What differs besides the reasons: routes, gates at equal experts, outputs.</summary>
    public string Changed()
    {
        string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        var gates = GateLargest is null
            ? "no gates to compare"
            : Invariant($"gates at equal experts differ by {GateLargest:G3} at most, {GateMean:G3} in the mean");
        var outputs = Output is null ? "" : Invariant($"; outputs differ by {Output:G3} of their size");
        return Invariant($"{TokensApart} of {Tokens} tokens go elsewhere; {gates}{outputs}");
    }

    /// <summary>One file: its routes, its gates by expert, and the numbers that it decided by.</summary>
    sealed class Engine
    {
        readonly Case _case;
        readonly IBackend _backend;
        readonly RouterCall _call;
        readonly string _rule;
        readonly Lazy<(RouterNumbers Numbers, Choices Expected, double[] Logits, double[] Errors)?> _decided;

        public Engine(Case @case, IBackend backend)
        {
            (_case, _backend, _call) = (@case, backend, CaseCall.Of(@case));
            if (!_case.Has("claim.expert") && !_case.Has("claim.combine"))
                throw new CaseException($"{@case.Path}: neither claim.expert nor claim.combine, so that it says nothing of routes; add one");
            Rows = [.. Enumerable.Range(0, Tokens).Select(RowOf)];
            Routes = [.. Rows.Select(r => r.Where(e => e >= 0).Distinct().ToArray())];
            _rule = $"{DialectFile.ToJson(@case.Dialect).ToJsonString()} {@case.Mode} {string.Join(" ", @case.Find("router.correction_bias")?.Values ?? [])}";
            _decided = new(Decide);
        }

        public int Tokens => _call.Tokens;
        public int Experts => _call.Experts;
        public string Path => _case.Path;
        public bool IsReal(int token) => _call.IsReal(token);

        /// <summary>What is claimed of every token: an expert a choice, −1 where none is made.</summary>
        public int[][] Rows { get; }

        /// <summary>Different experts of every token, in order of choice.</summary>
        public int[][] Routes { get; }

        public bool ClaimsChoices => _case.Has("claim.expert");
        public bool HasRuleOf(Engine other) => _rule == other._rule;

        /// <summary>Those that took the token: combine weights show no others.</summary>
        public int[] Kept(int token)
        {
            var k = Rows[token].Length;
            var slots = _case.Find("claim.slot") is { } claimed && claimed.Size(-1) == k ? claimed.Values : null;
            bool IsKept(int expert, int choice) =>
                expert >= 0 && (slots is null || slots[token * k + choice] >= 0) && Gate(token, expert) != 0;
            return [.. Rows[token].Where(IsKept).Distinct()];
        }
        public double[]? Output => _case.Find("claim.y")?.Values;

        int[] RowOf(int token)
        {
            if (_case.Find("claim.expert") is { } expert)
            {
                var k = expert.Size(-1);
                int[] row = [.. expert.Values.AsSpan(token * k, k).ToArray().Select(e => (int)e)];
                var bad = row.FirstOrDefault(e => e < -1 || e >= Experts, -1);
                return bad == -1 ? row : throw new CaseException($"{Path}: claim.expert holds {bad}, outside −1 … {Experts - 1}; correct it");
            }
            var dense = _case.Get("claim.combine").Values;
            return [.. Enumerable.Range(0, Experts).Where(e => dense[token * Experts + e] != 0)];
        }

        /// <summary>The gate of (token, expert), or null where it is not claimed.</summary>
        public double? Gate(int token, int expert)
        {
            if (_case.Find("claim.combine") is { } dense) return dense.Values[token * Experts + expert];
            if (_case.Find("claim.gate") is not { } gate || _case.Find("claim.expert") is not { } chosen) return null;
            var k = gate.Size(-1);
            for (var j = 0; j < k; j++)
                if ((int)chosen.Values[token * k + j] == expert) return gate.Values[token * k + j];
            return null;
        }

        /// <summary>
        /// Whether these choices are what the engine's own numbers ask for, within the rounding of its logits. Null where that cannot be said.
        /// </summary>
        /// <param name="asSet">Another engine's choices, whose order is its own.</param>
        public bool? Follows(int token, int[] row, bool asSet)
        {
            if (_decided.Value is not var (numbers, expected, _, _) || expected.ByExperts || expected.Rankings.Count == 0) return null;
            // Combine weights do not show what was dropped.
            if (row.Length != expected.K) return _case.Has("claim.expert") ? false : null;
            if (asSet && !row.Contains(-1)) row = [.. row.OrderByDescending(e => expected.RankingOf(0).Row(token)[e])];
            return SelectionCheck.Allows(_call, numbers, expected, token, row);
        }

        /// <summary>Whether another engine's logits of a token are the same, to within the rounding of both.</summary>
        public bool HasLogitsOf(Engine other, int token)
        {
            if (_decided.Value is not var (_, _, own, errors) || other._decided.Value is not var (_, _, theirs, others)) return false;
            for (var i = token * Experts; i < (token + 1) * Experts; i++)
                if (!(Math.Abs(own[i] - theirs[i]) <= errors[i] + others[i])) return false;
            return true;
        }

        /// <summary>
        /// What the logits ask for, each with its rounding: the error of a float32 computation, as in a check, and half a unit of the format that
        /// they are kept in.
        /// </summary>
        (RouterNumbers, Choices, double[], double[])? Decide()
        {
            var claim = _case.Find("claim.logits");
            var hasRouter = _case.Has("router.weight") && _case.Has("x");
            if (claim is null && !hasRouter || _call.Dialect.LayerKind() is LayerKind.Soft or LayerKind.TwoLevelRouter) return null;
            using var tape = new Tape(_backend);
            var tensors = new CaseTensors(_case, tape, _call);
            var known = new KnownLogits(tape, _call, claim, hasRouter);
            var numbers = RoutedLayer.Score(tape, _call, tensors.X, tensors.Router, known).Numbers.Fetched();
            return (numbers, RoutedLayer.Choose(_call, numbers, known).Choices, known.Values, known.Errors);
        }
    }

    /// <summary>Claimed or recomputed logits with what they may be off by.</summary>
    sealed class KnownLogits(Tape tape, RouterCall call, CaseTensor? claim, bool hasRouter) : Substitution
    {
        public double[] Values { get; private set; } = [];
        public double[] Errors { get; private set; } = [];

        public override Tensor Logits(Func<Tensor> compute)
        {
            var computed = hasRouter ? HostNumbers.Of(tape, compute()) : null;
            Values = [.. claim?.Values ?? computed!.Values];
            var format = claim?.Format ?? NumberFormat.Float32;
            Errors = [.. Values.Select((value, i) => (computed?.Errors[i] ?? 0) + Rounding.HalfUnit(format, Math.Abs(value)))];
            var matrix = tape.Rent(call.Tokens, call.Experts);
            ((IErrorBounds)tape.Backend).WriteErrors(matrix, Values, Errors);
            return tape.Constant(matrix);
        }
    }

    sealed class Comparer(Case first, Case second, IBackend backend)
    {
        readonly Engine _a = new(first, backend), _b = new(second, backend);

        public RouteComparison Run(string layer)
        {
            if (_a.Tokens != _b.Tokens || _a.Experts != _b.Experts)
            {
                var counts = $"{_b.Tokens} tokens and {_b.Experts} experts, but {_a.Path} has {_a.Tokens} and {_a.Experts}";
                throw new CaseException($"{_b.Path}: {counts}; compare the same tokens of the same layer");
            }
            int tokens = 0, choices = 0, apart = 0, choicesApart = 0, reordered = 0, gates = 0;
            double overlap = 0, gateLargest = 0, gateSum = 0;
            var causes = Enum.GetValues<MismatchCause>().ToDictionary(c => c, _ => 0);
            (string, int, int)? unexplained = null;
            var isApart = new bool[_a.Tokens];
            for (var t = 0; t < _a.Tokens; t++)
            {
                if (!_a.IsReal(t) || !_b.IsReal(t)) continue;
                var (a, b) = _a.ClaimsChoices == _b.ClaimsChoices ? (_a.Routes[t], _b.Routes[t]) : (_a.Kept(t), _b.Kept(t));
                int[] shared = [.. a.Intersect(b)];
                tokens++;
                choices += a.Length;
                choicesApart += a.Length - shared.Length;
                overlap += a.Length == 0 && b.Length == 0 ? 1 : (double)shared.Length / Math.Max(a.Length, b.Length);
                foreach (var e in shared)
                    if (_a.Gate(t, e) is { } x && _b.Gate(t, e) is { } y)
                    {
                        gates++;
                        gateSum += Math.Abs(x - y);
                        gateLargest = Math.Max(gateLargest, Math.Abs(x - y));
                    }
                isApart[t] = shared.Length != a.Length || shared.Length != b.Length;
                if (!isApart[t])
                {
                    if (!a.AsSpan().SequenceEqual(b)) reordered++;
                    continue;
                }
                apart++;
                var (cause, engine) = Cause(t);
                causes[cause]++;
                if (cause == MismatchCause.Unexplained) unexplained ??= (layer, t, engine);
            }
            return new()
            {
                Layer = layer,
                Tokens = tokens,
                Choices = choices,
                TokensApart = apart,
                ChoicesApart = choicesApart,
                Reordered = reordered,
                Overlap = tokens == 0 ? 1 : overlap / tokens,
                Causes = causes,
                GateLargest = gates == 0 ? null : gateLargest,
                GateMean = gates == 0 ? null : gateSum / gates,
                Output = Output(_ => true),
                OutputTogether = Output(t => !isApart[t]),
                OutputApart = Output(t => isApart[t]),
                FirstUnexplained = unexplained,
            };
        }

        (MismatchCause, int Engine) Cause(int token)
        {
            var (a, b) = (_a.Rows[token], _b.Rows[token]);
            if (_a.Follows(token, a, asSet: !_a.ClaimsChoices) is not { } aFollows) return (MismatchCause.Unknown, 0);
            if (_b.Follows(token, b, asSet: !_b.ClaimsChoices) is not { } bFollows) return (MismatchCause.Unknown, 0);
            if (!aFollows) return (MismatchCause.Unexplained, 1);
            if (!bFollows) return (MismatchCause.Unexplained, 2);
            if (_a.Follows(token, b, asSet: true) == true || _b.Follows(token, a, asSet: true) == true) return (MismatchCause.Rounding, 0);
            return (!_a.HasRuleOf(_b) && _a.HasLogitsOf(_b, token) ? MismatchCause.Rule : MismatchCause.Inputs, 0);
        }

        double? Output(Func<int, bool> counts)
        {
            if (_a.Output is not { } a || _b.Output is not { } b || a.Length != b.Length) return null;
            var width = a.Length / _a.Tokens;
            double difference = 0, sizeA = 0, sizeB = 0;
            var isEmpty = true;
            for (var i = 0; i < a.Length; i++)
            {
                if (!counts(i / width) || !_a.IsReal(i / width) || !_b.IsReal(i / width)) continue;
                isEmpty = false;
                difference += (a[i] - b[i]) * (a[i] - b[i]);
                (sizeA, sizeB) = (sizeA + a[i] * a[i], sizeB + b[i] * b[i]);
            }
            return isEmpty ? null : difference == 0 ? 0 : Math.Sqrt(difference / Math.Max(sizeA, sizeB));
        }
    }
}
