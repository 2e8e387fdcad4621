using System.Text.Json;
using SparseExperts.Formats;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Cli;

/// <summary>What commands take a path for.</summary>
enum Wanted { Run, Checkpoint, Configuration, Case, Recording, Dialect }

/// <summary>
/// What lies at a path, where that is known, and the command for it: who names a run to a command that reads case files, or a file to one that reads folders,
/// is told what it is. What is not known is left to whoever opens it.
/// </summary>
sealed record Found(Wanted? For, string Says)
{
    const string Config = "config.json";
    const long LargestJson = 1 << 20;

    /// <summary>The path, unless it is known to be another thing than what is wanted.</summary>
    /// <exception cref="CaseException">It is; the line says what it is and which command reads it.</exception>
    public static string As(Wanted wanted, string path) =>
        At(path) is not { } found || found.For == wanted || IsTakenToo(wanted, found.For, path) ? path : throw new CaseException($"{path}: {found.Says}");

    static bool IsTakenToo(Wanted wanted, Wanted? known, string path) => wanted switch
    {
        Wanted.Configuration => known == Wanted.Checkpoint,
        Wanted.Case => HoldsCases(path),
        // Whose names are not known, it may be one nevertheless.
        Wanted.Recording => known is null,
        _ => false,
    };

    /// <summary>A case file; one that is none is called what it is.</summary>
    public static Case Case(string path)
    {
        try
        {
            return Oracle.Case.Load(path);
        }
        catch (Exception e) when (e is CaseException or InvalidFileException)
        {
            As(Wanted.Case, path);
            throw;
        }
    }

    /// <summary>Case files by name, folder or pattern.</summary>
    public static IReadOnlyList<string> Cases(IReadOnlyList<string> names)
    {
        foreach (var folder in names.Where(Directory.Exists)) As(Wanted.Case, folder);
        return CaseFiles.Find(names);
    }

    /// <summary>A dialect by name or JSON file.</summary>
    public static Dialect Dialect(string name)
    {
        if (name.EndsWith(".json", StringComparison.OrdinalIgnoreCase) || BuiltIn.Find(name) is null && Directory.Exists(name)) As(Wanted.Dialect, name);
        var dialect = DialectFile.Resolve(name);
        if (BuiltIn.Find(name) is not null) return dialect;
        var text = name.TrimStart().StartsWith('{') ? name : RegularFiles.ReadAllText(name);
        foreach (var remark in UnreadAxes.Remarks(text, dialect)) Console.Error.WriteLine($"warning: {CommandRunner.OneLine($"{dialect.Name}: {remark}")}");
        return dialect;
    }

    static Found? At(string path)
    {
        try
        {
            return Directory.Exists(path) ? Folder(path) ?? Part(path) : File.Exists(path) ? OfFile(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidFileException or JsonException or ArgumentException)
        {
            return null;
        }
    }

    static Found? Folder(string path) => Keys(Path.Combine(path, Config)) switch
    {
        { } keys when IsOfRun(keys) => new(Wanted.Run, $"is a training run; moe evaluate {path} measures it, moe report {path} shows it"),
        { } keys when IsOfModel(keys) => new(
            Wanted.Checkpoint,
            $"is a checkpoint of the hub; moe check-model {path} checks it, moe dialects --config {path} says how it routes, "
                + $"moe import {path} --out RUN makes a run of it"),
        _ => null,
    };

    static Found? OfFile(string path)
    {
        if (Path.GetExtension(path).Equals(".json", StringComparison.OrdinalIgnoreCase) && Keys(path) is { } keys)
        {
            if (IsOfModel(keys)) return new(Wanted.Configuration, $"is a model's configuration; moe dialects --config {path} says what it means");
            if (IsOfRun(keys)) return Part(path);
            return keys.Contains("like") || keys.Contains("name") ? new(Wanted.Dialect, $"is a dialect; moe dialects {path} shows it") : null;
        }
        if (NpzFile.IsZip(path)) return OfCase(path);
        if (!Path.GetExtension(path).Equals(".safetensors", StringComparison.OrdinalIgnoreCase)) return Part(path);
        using var file = SafetensorsFile.Open(path);
        return file.Metadata.GetValueOrDefault("format", "").StartsWith("moe-case/", StringComparison.Ordinal) ? OfCase(path)
            : Option(file.Tensors.Select(t => t.Name)) is { } option
                ? new(Wanted.Recording, $"is a recording of a whole model; moe check-model FOLDER {option} {path} checks it, with the folder of its checkpoint")
            : Part(path);
    }

    static Found OfCase(string path) => new(Wanted.Case, $"is a case file; moe check {path} checks it");

    /// <summary>What belongs to a run or a checkpoint of which it is no whole.</summary>
    static Found? Part(string path)
    {
        var above = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(path));
        for (var level = 0; level < 4 && above is not null; level++, above = Path.GetDirectoryName(above))
        {
            var folder = above.Length == 0 ? "." : above;
            if (Folder(folder) is not { } whole) continue;
            var part = Path.GetFileName(path) == Config && level == 0 ? "is the configuration" : "is a part";
            return whole.For == Wanted.Run ? new(null, $"{part} of the run {folder}; name that folder, as in moe evaluate {folder}")
                : new(null, $"{part} of the checkpoint {folder}; name that folder, as in moe check-model {folder}");
        }
        return null;
    }

    /// <summary>Which option of check-model reads a recording with such tensors.</summary>
    static string? Option(IEnumerable<string> tensors)
    {
        (string Start, string Option)[] known =
        [
            ("hidden_states.", "--activations"), ("block.", "--activations"), ("grad.model.", "--gradients"),
            ("gradient_norm.", "--training"), ("filtered.", "--generation"),
        ];
        return tensors.SelectMany(t => known.Where(k => t.StartsWith(k.Start, StringComparison.Ordinal))).Select(k => k.Option).FirstOrDefault();
    }

    /// <summary>Whether somebody keeps case files in the folder of a model.</summary>
    static bool HoldsCases(string path) =>
        Directory.Exists(path) && Directory.EnumerateFiles(path).Any(f => Path.GetExtension(f) is ".safetensors" or ".npz" && At(f) is { For: Wanted.Case });

    static bool IsOfRun(HashSet<string> keys) => keys.Contains("training") && keys.Contains("model");

    static bool IsOfModel(HashSet<string> keys) => keys.Contains("model_type") || keys.Contains("architectures");

    /// <summary>The keys of a small JSON object; null for anything else.</summary>
    static HashSet<string>? Keys(string path)
    {
        if (!File.Exists(path) || new FileInfo(path).Length > LargestJson) return null;
        try
        {
            JsonDocumentOptions lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
            using var read = JsonDocument.Parse(RegularFiles.ReadAllText(path), lenient);
            return read.RootElement.ValueKind == JsonValueKind.Object ? [.. read.RootElement.EnumerateObject().Select(p => p.Name)] : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
