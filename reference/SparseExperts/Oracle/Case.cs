using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Formats;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>One tensor of a case file: its numbers, exactly, row-major, and the format that they were kept in.</summary>
public sealed record CaseTensor(string Name, string DType, long[] Shape, double[] Values)
{
    /// <summary>Significant decimal digits that the numbers were printed with; null where they are exact.</summary>
    public int? Digits { get; init; }

    /// <summary>How far number <paramref name="i"/> may be from what was computed because of its last printed digit.</summary>
    public double HalfDigit(int i) => CaseDigits.HalfUnit(Digits, Values[i]);

    public NumberFormat Format => NumberFormats.OfDType(DType) ?? DType switch
    {
        // Integers are exact in any format that is wide enough for them.
        "I64" or "I32" or "I16" or "I8" or "U64" or "U32" or "U16" or "U8" or "BOOL" => NumberFormat.Float32,
        _ => throw new CaseException($"{Name}: dtype {DType} is not checked; write F64, F32, F16, BF16 or integers"),
    };

    public int[] Integers => Array.ConvertAll(Values, v => (int)v);
    public float[] Floats => Array.ConvertAll(Values, v => (float)v);

    /// <summary>Dimension i, counted from the end for negative i; 1 where there is none.</summary>
    public int Size(int i) => i < 0 ? (Shape.Length + i >= 0 ? (int)Shape[Shape.Length + i] : 1) : (i < Shape.Length ? (int)Shape[i] : 1);
}

/// <summary>
/// A file of the format moe-case/1: one call of one sparse layer, its inputs, its weights, the random numbers it used, and what an
/// implementation claims that it computed.
/// </summary>
public sealed class Case
{
    const string Format = "moe-case/1";

    readonly Dictionary<string, CaseTensor> _tensors;
    readonly IReadOnlyDictionary<string, int> _digits;

    /// <summary>Names of the tensors as the file has them.</summary>
    readonly HashSet<string> _given;
    readonly bool _isHeldToAnother;

    Case(string path, Dictionary<string, CaseTensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        string Text(string key, string? otherwise = null) => metadata.TryGetValue(key, out var value) ? value
            : otherwise ?? throw new CaseException($"{path}: no metadata '{key}'; write it beside format and mode");
        RequireFormat(path, Text("format"));
        Mode = Text("mode");
        if (Mode is not ("train" or "eval")) throw new CaseException($"{path}: mode '{Mode}'; write train or eval");
        (Producer, Note, DialectText) = (Text("producer", ""), Text("note", ""), Text("dialect"));
        Parameters = Object(path, Text("parameters", "{}"));
        _given = tensors.Keys.ToHashSet();
        var ordinary = CaseLayout.Take(path, Parameters, _given).Ordinary(path, tensors.Values);
        _digits = CaseDigits.Take(path, Parameters);
        _tensors = CaseDigits.On(path, ordinary, _digits).ToDictionary(t => t.Name);
        CaseShapes.Check(path, _tensors.Values);
        Dialect = DialectFile.With(DialectFile.OfCase(DialectText, path), Parameters, path);
        CaseReads.Check(this);
        CaseShapes.CheckWhole(path, _tensors.Values);
    }

    static void RequireFormat(string path, string format)
    {
        if (format != Format) throw new CaseException($"{path}: format '{format}', this program reads {Format}; convert the file");
    }

    /// <summary>The same numbers read under another dialect.</summary>
    Case(Case other, Dialect dialect, string mode)
    {
        (Path, _tensors, Mode, Parameters) = (other.Path, other._tensors, mode, other.Parameters);
        (Producer, Note) = (other.Producer, other.Note);
        (Dialect, DialectText, _isHeldToAnother) = (dialect, dialect.Name, true);
        (_digits, _given) = (other._digits, other._given);
    }

    /// <summary>The same call with other tensors.</summary>
    Case(Case other, Dictionary<string, CaseTensor> tensors)
    {
        CaseShapes.Check(other.Path, tensors.Values);
        (Path, _tensors, Mode, Parameters) = (other.Path, tensors, other.Mode, other.Parameters);
        (Producer, Note) = (other.Producer, other.Note);
        (Dialect, DialectText, _isHeldToAnother) = (other.Dialect, other.DialectText, other._isHeldToAnother);
        (_digits, _given) = (other._digits, other._given);
    }

    /// <summary>A case in memory, held to the same rules as a file.</summary>
    /// <param name="dialect">A built-in name, or a dialect as JSON.</param>
    /// <param name="mode">train or eval.</param>
    /// <exception cref="CaseException">A name that the format does not have, or shapes that do not fit.</exception>
    public static Case Create(
        string dialect,
        string mode,
        IEnumerable<CaseTensor> tensors,
        JsonObject? parameters = null,
        string producer = "",
        string note = "",
        string name = "case") =>
        new(name, tensors.ToDictionary(t => t.Name), new Dictionary<string, string>
        {
            ["format"] = Format,
            ["dialect"] = dialect,
            ["mode"] = mode,
            ["parameters"] = (parameters ?? []).ToJsonString(),
            ["producer"] = producer,
            ["note"] = note,
        });

    /// <summary>The same case with tensors added, or put in the place of those of the same name.</summary>
    public Case With(params IEnumerable<CaseTensor> tensors)
    {
        var all = new Dictionary<string, CaseTensor>(_tensors);
        foreach (var tensor in tensors) all[tensor.Name] = tensor;
        return new(this, all);
    }

    /// <summary>The same case with the gates held constant in the backward pass.</summary>
    internal Case WithConstantGates => new(this, _tensors) { HasConstantGates = true };

    /// <summary>Whether gradients go past the gates, as where an implementation detaches them.</summary>
    internal bool HasConstantGates { get; private init; }

    /// <summary>The same case without some tensors.</summary>
    public Case Without(params IEnumerable<string> names) => new(this, _tensors.Where(t => !names.Contains(t.Key)).ToDictionary());

    /// <summary>A dialect that is not the file's own is written out in full: the parameters are in it.</summary>
    Dictionary<string, string> Metadata() => new()
    {
        ["format"] = Format,
        ["dialect"] = _isHeldToAnother ? DialectFile.ToJson(Dialect).ToJsonString() : DialectText,
        ["mode"] = Mode,
        ["parameters"] = Written().ToJsonString(),
        ["producer"] = Producer,
        ["note"] = Note,
    };

    /// <summary>The parameters of a file that is written in the ordinary layout.</summary>
    JsonObject Written()
    {
        var parameters = _isHeldToAnother ? [] : (JsonObject)Parameters.DeepClone();
        var printed = _digits.Where(d => _tensors.ContainsKey(d.Key)).ToArray();
        if (printed.Length > 0) parameters[CaseDigits.Key] = new JsonObject(printed.Select(d => KeyValuePair.Create(d.Key, (JsonNode?)d.Value)));
        return parameters;
    }

    /// <summary>Verdicts on the tensors that the file holds, whatever layout the check saw.</summary>
    internal IReadOnlyList<StageVerdict> Named(IReadOnlyList<StageVerdict> stages) => CaseLayout.Named(stages, _given);

    /// <summary>Claims that were printed in decimal, with their digits.</summary>
    public IEnumerable<(string Name, int Digits)> Printed => _tensors.Values.Where(t => t.Digits is not null).Select(t => (t.Name, t.Digits!.Value));

    /// <summary>Writes .npz, or .safetensors for any other name; whole, or not at all.</summary>
    public void Save(string path)
    {
        var isNpz = System.IO.Path.GetExtension(path).Equals(".npz", StringComparison.OrdinalIgnoreCase);
        var metadata = Metadata();
        if (isNpz && CaseDtypes.Of(_tensors.Values) is { } dtypes) metadata[CaseDtypes.Key] = dtypes;
        var tensors = _tensors.Values.Select(t => (t.Name, isNpz && t.DType == "BF16" ? "F32" : t.DType, t.Shape, t.Values));
        if (isNpz) NpzWriter.Write(path, metadata.Select(m => (Meta + m.Key, m.Value)), tensors);
        else SafetensorsWriter.Write(path, metadata, tensors);
    }

    /// <summary>The same file held to another dialect or mode.</summary>
    public Case Under(Dialect dialect, string? mode = null) => new(this, dialect, mode ?? Mode);

    /// <summary>The same file held to another dialect, with those of the file's parameters that it knows.</summary>
    public Case HeldTo(Dialect dialect, string? mode = null) => Under(DialectFile.With(dialect, Parameters, Path, lenient: true), mode);

    public string Path { get; }
    public string Mode { get; }
    public bool Training => Mode == "train";
    public string Producer { get; }
    public string Note { get; }
    public string DialectText { get; }
    public JsonObject Parameters { get; }

    /// <summary>The dialect with the file's parameters in effect.</summary>
    public Dialect Dialect { get; }

    public CaseTensor? Find(string name) => _tensors.GetValueOrDefault(name);
    public CaseTensor Get(string name) => Find(name) ?? throw new CaseException($"{Path}: no tensor '{name}', which {Dialect.Name} needs here; add it");
    public bool Has(string name) => _tensors.ContainsKey(name);
    public IEnumerable<CaseTensor> Tensors => _tensors.Values;

    /// <summary>Refuses a file that claims nothing, which would agree with everything, or experts that are none.</summary>
    public void RequireClaims()
    {
        if (!_tensors.Keys.Any(n => n.StartsWith("claim.", StringComparison.Ordinal)))
            throw new CaseException($"{Path}: it claims nothing; add claim.expert, claim.y or others");
        if (Find("claim.expert") is { } expert && (Find("router.weight")?.Size(0) ?? Find("claim.logits")?.Size(-1)) is { } experts)
            RequireWithin(expert.Name, expert.Integers, experts);
    }

    /// <summary>Refuses whole numbers outside −1 … <paramref name="below"/> − 1.</summary>
    internal void RequireWithin(string name, int[] values, long below)
    {
        if (values.FirstOrDefault(v => v < -1 || v >= below, -1) is not -1 and var bad)
            throw new CaseException($"{Path}: {name} holds {bad}, outside −1 … {below - 1}; correct it");
    }

    /// <summary>Reads a case from .safetensors or .npz, whichever the file is.</summary>
    /// <exception cref="InvalidFileException">It is neither, or damaged.</exception>
    /// <exception cref="CaseException">It is no case.</exception>
    public static Case Load(string path) => File.Exists(path) && NpzFile.IsZip(path) ? FromNpz(path) : FromSafetensors(path);

    static Case FromSafetensors(string path)
    {
        using var file = SafetensorsFile.Open(path);
        // What says that it is no case is not asked for a case's names; shapes that cannot be are refused before any number is read.
        RequireFormat(path, file.Metadata.GetValueOrDefault("format", Format));
        TensorEntry[] entries = [.. file.Tensors.Where(t => !IsFree(t.Name))];
        var layout = CaseLayout.Take(path, Object(path, file.Metadata.GetValueOrDefault("parameters", "{}")), entries.Select(t => t.Name).ToHashSet());
        CaseShapes.Check(path, layout.Ordinary(path, entries.Select(t => new CaseTensor(t.Name, t.DType, t.Shape, []))));
        var tensors = new CaseTensor[entries.Length];
        Parallelism.For(entries.Length, i => tensors[i] = new(entries[i].Name, entries[i].DType, entries[i].Shape, file.ReadDoubles(entries[i].Name)));
        return new(path, tensors.ToDictionary(t => t.Name), file.Metadata);
    }

    static Case FromNpz(string path)
    {
        var entries = NpzFile.Read(path, IsFree);
        if (entries.FirstOrDefault(e => e.Text is not null != e.Name.StartsWith(Meta, StringComparison.Ordinal)) is { } wrong)
            throw new CaseException($"{path}: '{wrong.Name}' is {(wrong.Text is null ? "numbers" : "a text")}; texts, and only they, are named {Meta}…");
        var tensors = entries.Where(e => e.Text is null).ToDictionary(e => e.Name, e => new CaseTensor(e.Name, e.DType, e.Shape, e.Values));
        var metadata = entries.Where(e => e.Text is not null).ToDictionary(e => e.Name[Meta.Length..], e => e.Text!);
        if (metadata.TryGetValue(CaseDtypes.Key, out var dtypes)) tensors = CaseDtypes.Restore(path, tensors, dtypes, IsFree);
        return new(path, tensors, metadata);
    }

    /// <summary>How an .npz names its metadata.</summary>
    const string Meta = "meta.";

    /// <summary>Ids of the tokens, by which the rows of two calls are paired.</summary>
    internal const string Row = "x.row";

    /// <summary>Other names under x. are the producer's own.</summary>
    static bool IsFree(string name) => name.StartsWith("x.", StringComparison.Ordinal) && name != Row;

    static JsonObject Object(string path, string text)
    {
        try
        {
            var read = JsonNode.Parse(text) as JsonObject ?? throw new CaseException($"{path}: parameters are '{text}'; write a JSON object");
            _ = read.Count;         // a name that comes twice is found when they are counted
            return read;
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            throw new CaseException($"{path}: parameters are not JSON ({e.Message.ReplaceLineEndings(" ")}); write a JSON object");
        }
    }
}

/// <summary>A case file that cannot be checked; one line with the file, the reason and the remedy.</summary>
public sealed class CaseException(string message) : Exception(message);
