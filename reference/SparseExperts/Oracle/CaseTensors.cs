using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// A case's inputs on a tape. Files keep weights as [out, in], the library as [in, out]: they are turned on the way in and gradients on the
/// way back.
/// </summary>
sealed class CaseTensors
{
    readonly Dictionary<string, (Tensor Tensor, int Stack, int Rows, int Columns)> _turned = [];
    readonly Tape _tape;
    readonly Case _case;

    public CaseTensors(Case @case, Tape tape, RouterCall call)
    {
        (_case, _tape) = (@case, tape);
        var m = @case.Get("x").Size(-1);
        X = Plain("x", call.Tokens, m, sequence: call.Size);
        ExpertsX = @case.Has("experts.x") ? Plain("experts.x", call.Tokens, m, sequence: call.Size) : null;
        int experts = call.Experts, held = call.HeldExperts, router = @case.Find("router.mlp.norm")?.Size(0) ?? m;
        Router = new()
        {
            Weight = Turned("router.weight", 1, experts, router),
            Bias = Optional("router.bias", 1, experts),
            NoiseWeight = Turned("router.noise_weight", 1, experts, m),
            PrimaryWeight = Turned("router.primary.weight", 1, call.Dialect.Groups, m),
            PrimaryNoiseWeight = Turned("router.primary.noise_weight", 1, call.Dialect.Groups, m),
            SecondaryWeight = Turned("router.secondary.weight", 1, experts, m),
            SecondaryNoiseWeight = Turned("router.secondary.noise_weight", 1, experts, m),
            Slots = @case.Find("router.slots") is { } slots ? Turned("router.slots", 1, slots.Values.Length / m, m) : null,
            Scale = Optional("router.scale", 1, 1),
            Norm = Optional("router.norm", 1, m),
            ExpertScale = Optional("router.expert_scale", 1, experts),
            GlobalScale = Optional("router.global_scale", 1, 1),
            SharedWeight = @case.Find("router.shared_weight") is { } rows ? Turned("router.shared_weight", 1, rows.Size(0), m) : null,
            Keys = @case.Find("router.keys.weight") is { } keys ? Turned("router.keys.weight", 1, keys.Size(0), m) : null,
            Mlp = Mlp(m, router),
            Previous = @case.Has("router.previous") ? Plain("router.previous", call.Tokens, router, sequence: call.Size) : null,
            CorrectionBias = @case.Find("router.correction_bias")?.Values ?? [],
            ImageBias = @case.Find("router.correction_bias.images")?.Values ?? [],
        };
        if (@case.Find("experts.wi") is not { } wi) return;
        var f = wi.Size(-2);
        int? shared = @case.Find("shared.wi")?.Size(-2);
        var sharedCount = @case.Find("router.shared_weight")?.Size(0) ?? Math.Max(1, call.Dialect.SharedChoices);
        var latent = @case.Find("experts.in")?.Size(0) ?? m;
        Experts = new()
        {
            Wi = Turned("experts.wi", held, f, latent)!,
            WiGate = Turned("experts.wi_gate", held, f, latent),
            Wo = Turned("experts.wo", held, latent, f) ?? throw Without("experts"),
            Bi = Optional("experts.bi", held, f),
            BiGate = Optional("experts.bi_gate", held, f),
            Bo = Optional("experts.bo", held, latent),
            SharedWi = shared is { } width ? Turned("shared.wi", sharedCount, width, m) : null,
            SharedWiGate = shared is { } gateWidth ? Turned("shared.wi_gate", sharedCount, gateWidth, m) : null,
            SharedWo = shared is { } outWidth ? Turned("shared.wo", sharedCount, m, outWidth) ?? throw Without("shared") : null,
            SharedGate = Optional("shared.gate", m, 1),
            SharedCount = sharedCount,
            In = Turned("experts.in", 1, latent, m),
            Out = Turned("experts.out", 1, m, latent),
            InNorm = Optional("experts.in_norm", 1, latent),
            PostNorm = Optional("experts.post_norm", 1, latent),
            OutputBias = Optional("experts.output_bias", 1, m),
        };
    }

    /// <summary>What an MLP router of width R has before its last matrix, or null.</summary>
    MlpRouterWeights? Mlp(int m, int width)
    {
        if (!_case.Has("router.mlp.norm")) return null;
        Tensor Matrix(string name, int columns) => Turned(name, 1, width, columns) ?? throw Missing(name);
        Tensor Row(string name) => Optional(name, 1, width) ?? throw Missing(name);
        return new(
            Turned("router.down.weight", 1, width, m),
            Optional("router.down.bias", 1, width),
            Optional("router.previous_scale", 1, width),
            Row("router.mlp.norm"),
            Matrix("router.mlp.w1", width),
            Row("router.mlp.b1"),
            Matrix("router.mlp.w2", width),
            Row("router.mlp.b2"));
    }

    CaseException Without(string stack) => new($"{_case.Path}: {stack}.wi without {stack}.wo; give both");

    CaseException Missing(string name) => new($"{_case.Path}: router.mlp.norm without {name}; give both");

    public Tensor X { get; }

    /// <summary>What the experts read where it is not <see cref="X"/>, or null.</summary>
    public Tensor? ExpertsX { get; }
    public RouterWeights Router { get; }
    public ExpertWeights? Experts { get; }

    /// <summary>The gradient of an input as the file lays it out, with error bounds.</summary>
    public (double[] Values, double[] Errors)? Gradient(string name)
    {
        if (!_turned.TryGetValue(name, out var input)) return null;
        if (!input.Tensor.HasGradient) return (new double[input.Tensor.Value.Count], new double[input.Tensor.Value.Count]);
        double[] values = new double[input.Tensor.Value.Count], errors = new double[values.Length];
        _tape.Backend.Read(input.Tensor.Gradient, values);
        Bounds.ReadErrors(input.Tensor.Gradient, errors);
        if (input.Stack == 0) return (values, errors);
        return (Turn(values, input.Stack, input.Columns, input.Rows), Turn(errors, input.Stack, input.Columns, input.Rows));
    }

    Tensor Plain(string name, int rows, int columns, int sequence = 0)
    {
        var matrix = _tape.Rent(rows, columns);
        Bounds.WriteErrors(matrix, Sized(name, (long)rows * columns).Values, []);
        var tensor = _tape.Input(matrix, sequence);
        _turned[name] = (tensor, 0, rows, columns);
        return tensor;
    }

    Tensor? Optional(string name, int rows, int columns) => _case.Has(name) ? Plain(name, rows, columns) : null;

    Tensor? Turned(string name, int stack, int rows, int columns)
    {
        if (!_case.Has(name)) return null;
        var values = Sized(name, (long)stack * rows * columns).Values;
        var matrix = _tape.Rent(stack * columns, rows);
        Parallelism.For(stack, s =>
        {
            var row = new double[rows];
            for (var c = 0; c < columns; c++)
            {
                for (var r = 0; r < rows; r++) row[r] = values[(s * rows + r) * columns + c];
                Bounds.WriteErrors(matrix.RowRange(s * columns + c, 1), row, []);
            }
        });
        var tensor = _tape.Input(matrix);
        _turned[name] = (tensor, stack, rows, columns);
        return tensor;
    }

    CaseTensor Sized(string name, long count)
    {
        var tensor = _case.Get(name);
        if (tensor.Values.Length == count) return tensor;
        throw new CaseException($"{_case.Path}: {name} is [{string.Join(", ", tensor.Shape)}], {count} numbers are needed; correct its shape");
    }

    IErrorBounds Bounds => (IErrorBounds)_tape.Backend;

    static double[] Turn(double[] values, int stack, int rows, int columns)
    {
        var result = new double[values.Length];
        for (var s = 0; s < stack; s++)
            for (var r = 0; r < rows; r++)
                for (var c = 0; c < columns; c++) result[(s * columns + c) * rows + r] = values[(s * rows + r) * columns + c];
        return result;
    }
}
