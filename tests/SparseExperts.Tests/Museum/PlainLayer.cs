using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>
/// A sparse layer as one writes it on a page: loops over tokens, experts and choices, one method a step. It shares nothing with the library
/// but the case that it reads and the claims that it writes, and a mutant overrides exactly one step.
/// </summary>
/// <remarks>Numbers are kept in double and rounded to float32 where a step hands them on; while gradients are measured nothing is rounded.</remarks>
abstract class PlainLayer
{
    const double Step = 1e-5;

    readonly Dictionary<string, double[]> _numbers;
    bool _measures;

    protected PlainLayer(Case asked)
    {
        Asked = asked;
        _numbers = asked.Tensors.ToDictionary(t => t.Name, t => (double[])t.Values.Clone());
        var shape = asked.Get("x").Shape;
        (Groups, Size, Width) = ((int)shape[0], (int)shape[1], (int)shape[2]);
        Experts = asked.Find("router.weight")?.Size(0) ?? asked.Get("claim.logits").Size(-1);
        Hidden = asked.Find("experts.wi")?.Size(1) ?? 0;
    }

    protected Case Asked { get; }
    protected int Groups { get; }
    protected int Size { get; }
    protected int Tokens => Groups * Size;
    protected int Width { get; }
    protected int Experts { get; }
    protected int Hidden { get; }

    /// <summary>Choices a token.</summary>
    protected virtual int K => Asked.Dialect.K;
    protected bool Training => Asked.Training;

    // What the steps have made so far: [T][E], [T][K], [T][M].
    protected double[][] Logits { get; private set; } = [];
    protected double[][] Scores { get; private set; } = [];
    protected int[][] Expert { get; private set; } = [];
    protected int Capacity { get; private set; } = int.MaxValue;
    protected int[][] Slot { get; private set; } = [];
    protected double[][] Gate { get; private set; } = [];
    protected double[][] Output { get; private set; } = [];

    // What the case says.

    /// <summary>A parameter of the file.</summary>
    protected double Setting(string name, double otherwise) => Asked.Parameters[name] is { } value ? (double)value.AsValue() : otherwise;

    protected bool Has(string tensor) => _numbers.ContainsKey(tensor);
    protected double[] Of(string tensor) => _numbers[tensor];
    protected double X(int t, int m) => _numbers["x"][t * Width + m];
    protected bool IsReal(int t) => !Has("padding") || _numbers["padding"][t] == 1;
    protected IEnumerable<int> AllTokens => Enumerable.Range(0, Tokens);
    protected IEnumerable<int> TokensOf(int group) => Enumerable.Range(group * Size, Size);

    /// <summary>A number as float32 holds it, or as it is while gradients are measured.</summary>
    protected double Float(double value) => _measures ? value : (float)value;

    // The steps, in their order.

    /// <summary>What the router sees of token t.</summary>
    protected virtual double RouterInput(int t, int m) => X(t, m);

    /// <summary>l_e = Σ_m x_m·W_em + b_e.</summary>
    protected virtual double[] Project(int t)
    {
        if (!Has("router.weight")) return Of("claim.logits")[(t * Experts)..((t + 1) * Experts)];
        var logits = new double[Experts];
        for (var e = 0; e < Experts; e++)
        {
            for (var m = 0; m < Width; m++) logits[e] += RouterInput(t, m) * Of("router.weight")[e * Width + m];
            if (Has("router.bias")) logits[e] += Of("router.bias")[e];
        }
        return logits;
    }

    protected abstract double[] Score(double[] logits);

    /// <summary>The experts of token t, best first; −1 where none is chosen.</summary>
    protected virtual int[] Choose(int t) => Best(Scores[t], K);

    /// <summary>Slots of an expert in a group.</summary>
    protected virtual int Slots() => int.MaxValue;

    /// <summary>The slot of every choice [T][K], −1 for dropped: first choices of all tokens first, then second ones.</summary>
    protected virtual int[][] Place()
    {
        var slot = Table<int>(K);
        for (var g = 0; g < Groups; g++)
        {
            var asked = new int[Experts];
            for (var j = 0; j < K; j++)
                foreach (var t in TokensOf(g)) slot[t][j] = Expert[t][j] is >= 0 and var e && asked[e]++ is var place && place < Capacity ? place : -1;
        }
        return slot;
    }

    /// <summary>The gates of token t [K]; 0 where nothing is kept.</summary>
    protected virtual double[] Weigh(int t) => [.. Enumerable.Range(0, K).Select(j => IsKept(t, j) ? Scores[t][Expert[t][j]] : 0)];

    /// <summary>wo·act(wi·x), or wo·(act(wi_gate·x)∘wi·x).</summary>
    protected virtual double[] Feed(string experts, int e, double[] x)
    {
        int hidden = Asked.Get(experts + ".wo").Size(-1);
        var y = new double[Width];
        for (var f = 0; f < hidden; f++)
        {
            double Along(string weights)
            {
                double sum = 0;
                for (var m = 0; m < Width; m++) sum += Of(weights)[(e * hidden + f) * Width + m] * x[m];
                return sum;
            }
            var h = Along(experts + ".wi");
            h = Has(experts + ".wi_gate") ? Activate(Along(experts + ".wi_gate")) * h : Activate(h);
            for (var m = 0; m < Width; m++) y[m] += Of(experts + ".wo")[(e * Width + m) * hidden + f] * h;
        }
        return y;
    }

    protected virtual double Activate(double h) => h / (1 + Math.Exp(-h));

    /// <summary>What the experts see of token t.</summary>
    protected virtual double[] ExpertInput(int t) => Of("x")[(t * Width)..((t + 1) * Width)];

    /// <summary>y = Σ_j g_j·f_e(x), and what stands beside the experts.</summary>
    protected virtual double[] Combine(int t)
    {
        var y = new double[Width];
        for (var j = 0; j < K; j++)
            if (IsKept(t, j)) Add(y, Gate[t][j], Feed("experts", Expert[t][j], ExpertInput(t)));
        return Beside(t, y);
    }

    /// <summary>The shared expert, with its sigmoid gate where it has one.</summary>
    protected virtual double[] Beside(int t, double[] y)
    {
        if (Has("shared.wi")) Add(y, SharedGate(t), Feed("shared", 0, ExpertInput(t)));
        return y;
    }

    protected virtual double SharedGate(int t) => Has("shared.gate") ? Sigmoid(Enumerable.Range(0, Width).Sum(m => X(t, m) * Of("shared.gate")[m])) : 1;

    /// <summary>Losses of this mode: value before its coefficient, and the coefficient.</summary>
    protected virtual IEnumerable<(string Name, double Value, double Coefficient)> Losses() => [];

    protected virtual double Total() => Losses().Sum(l => l.Coefficient * l.Value);

    /// <summary>Tokens of every expert [G·E].</summary>
    protected virtual int[] Count()
    {
        var counts = new int[Groups * Experts];
        foreach (var t in AllTokens)
            foreach (var e in Expert[t])
                if (e >= 0) counts[t / Size * Experts + e]++;
        return counts;
    }

    /// <summary>b_e + rate·sign(mean n − n_e).</summary>
    protected virtual double[]? NextBias() => null;

    /// <summary>What is differentiated: ⟨cotangent, y⟩ + the losses.</summary>
    protected virtual double Objective() => Enumerable.Range(0, Tokens * Width).Sum(i => Of("cotangent.y")[i] * Output[i / Width][i % Width]) + Total();

    /// <summary>The objective's gradient by central differences, with who goes where held fixed.</summary>
    protected virtual double[] Gradient(string tensor)
    {
        var weights = Of(tensor);
        var gradient = new double[weights.Length];
        _measures = true;
        for (var i = 0; i < weights.Length; i++)
        {
            var own = weights[i];
            double At(double value)
            {
                weights[i] = value;
                Compute(decides: false);
                return Objective();
            }
            gradient[i] = (At(own + Step) - At(own - Step)) / (2 * Step);
            weights[i] = own;
        }
        _measures = false;
        Compute(decides: false);
        return gradient;
    }

    // One call.

    void Compute(bool decides)
    {
        Logits = [.. AllTokens.Select(t => Each(Project(t)))];
        Scores = [.. Logits.Select(l => Each(Score(l)))];
        if (decides)
        {
            Expert = [.. AllTokens.Select(Choose)];
            Capacity = Slots();
            Slot = Place();
        }
        Gate = [.. AllTokens.Select(t => Each(Weigh(t)))];
        if (Hidden > 0) Output = [.. AllTokens.Select(t => Each(Combine(t)))];
    }

    double[] Each(double[] row) => Array.ConvertAll(row, Float);

    /// <summary>What the layer says of itself besides what every layer does.</summary>
    protected virtual bool ClaimsScores => true;
    protected virtual bool ClaimsCapacity => Capacity != int.MaxValue;
    protected virtual IEnumerable<string> ClaimedGradients => Has("cotangent.y") ? ["router.weight", "experts.wi"] : [];

    /// <summary>The case with the layer's claims.</summary>
    public virtual Case Run()
    {
        Compute(decides: true);
        var claims = new List<CaseTensor>();
        long g = Groups, s = Size, e = Experts;
        void Real(string name, IEnumerable<double> values, params long[] shape) =>
            claims.Add(new("claim." + name, "F32", shape, [.. values.Select(v => (double)(float)v)]));
        void Whole(string name, IEnumerable<int> values, params long[] shape) =>
            claims.Add(new("claim." + name, "I32", shape, [.. values.Select(v => (double)v)]));

        Real("logits", ReportedLogits().SelectMany(r => r), g, s, e);
        if (ClaimsScores) Real("scores", Scores.SelectMany(r => r), g, s, e);
        if (ClaimsCapacity) Whole("capacity", [Capacity]);
        Whole("expert", ReportedExperts().SelectMany(r => r), g, s, K);
        if (Capacity != int.MaxValue) Whole("slot", Slot.SelectMany(r => r), g, s, K);
        Real("gate", Gate.SelectMany(r => r), g, s, K);
        Whole("count", Count(), g, e);
        if (Hidden > 0) Real("y", Output.SelectMany(r => r), g, s, Width);
        foreach (var (name, value, _) in Losses()) Real("loss." + name, [value]);
        if (Losses().Any()) Real("loss.total", [Total()]);
        if (NextBias() is { } bias) Real("correction_bias", bias, e);
        foreach (var name in ClaimedGradients) Real("grad." + name, Gradient(name), Asked.Get(name).Shape);
        return Asked.With(claims);
    }

    /// <summary>What the router returns as its logits.</summary>
    protected virtual double[][] ReportedLogits() => Logits;

    /// <summary>The ids that it hands to the experts' kernel.</summary>
    protected virtual int[][] ReportedExperts() => Expert;

    // Small things.

    protected bool IsKept(int t, int j) => Expert[t][j] >= 0 && Slot[t][j] >= 0;

    protected T[][] Table<T>(int columns) => [.. AllTokens.Select(_ => new T[columns])];

    protected static double[] Softmax(double[] logits)
    {
        var max = logits.Max();
        double[] powers = [.. logits.Select(l => Math.Exp(l - max))];
        return [.. powers.Select(p => p / powers.Sum())];
    }

    protected static double Sigmoid(double logit) => 1 / (1 + Math.Exp(-logit));

    /// <summary>Indices of the largest numbers, best first, the lower index first among equals.</summary>
    protected static int[] Best(double[] values, int count) =>
        [.. Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).ThenBy(i => i).Take(count)];

    protected static double[] OverSum(double[] gates, double guard = 0) => [.. gates.Select(g => g / (gates.Sum() + guard))];

    protected static void Add(double[] to, double factor, double[] values)
    {
        for (var i = 0; i < to.Length; i++) to[i] += factor * values[i];
    }

    /// <summary>Mean of (ln Σ e^l)² over some tokens.</summary>
    protected static double SquaredLogSum(IEnumerable<double[]> rows) => rows.Average(l => Math.Pow(Math.Log(l.Sum(v => Math.Exp(v - l.Max()))) + l.Max(), 2));
}
