using System.Text.Json;
using SparseExperts.Data;
using SparseExperts.Formats;

namespace SparseExperts.Text;

/// <summary>A task in text: what is asked, and what shall be written.</summary>
public sealed record TextTask(string Input, string Target);

/// <summary>Tasks of a JSONL file: an object a line, with the strings <c>input</c> and <c>target</c>; empty lines and other names are passed over.</summary>
public static class TextTasks
{
    const double HeldOutShare = 0.05;

    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <exception cref="DataException">The file cannot be read, or a line of it: file, line and reason.</exception>
    public static IReadOnlyList<TextTask> Load(string path)
    {
        try
        {
            return Parse(path, RegularFiles.ReadAllBytes(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DataException($"{path}: cannot be read ({FileTrouble.Why(e)}); name a JSONL file of tasks");
        }
    }

    /// <param name="name">What errors call the file.</param>
    public static IReadOnlyList<TextTask> Parse(string name, ReadOnlyMemory<byte> text)
    {
        var tasks = new List<TextTask>();
        var rest = text.Span.StartsWith("\uFEFF"u8) ? text[3..] : text;
        for (var number = 1; rest.Length > 0; number++)
        {
            var end = rest.Span.IndexOf((byte)'\n');
            var line = end < 0 ? rest : rest[..end];
            rest = end < 0 ? default : rest[(end + 1)..];
            if (!line.Span.Trim(" \t\r"u8).IsEmpty) tasks.Add(Task(line, $"{name}, line {number}"));
        }
        return tasks.Count > 0 ? tasks : throw new DataException($"{name}: has no tasks; name a JSONL file with an object of input and target a line");
    }

    static TextTask Task(ReadOnlyMemory<byte> line, string place)
    {
        try
        {
            using var document = JsonDocument.Parse(line, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new DataException($"{place}: is no object; {Written}");
            return new(Text(document.RootElement, "input", place), Text(document.RootElement, "target", place));
        }
        catch (JsonException e)
        {
            throw new DataException($"{place}: no JSON ({JsonTrouble.Why(e, where: false)}); {Written}");
        }
        catch (InvalidOperationException)
        {
            throw new DataException($"{place}: a string is no text in UTF-8; write it anew");
        }
    }

    static string Text(JsonElement task, string name, string place)
    {
        if (!task.TryGetProperty(name, out var value))
        {
            var names = string.Join(", ", task.EnumerateObject().Take(8).Select(p => p.Name.Length > 40 ? p.Name[..40] + "…" : p.Name));
            throw new DataException($"{place}: has no {name}{(names.Length > 0 ? $", it has {names}" : "")}; {Written}");
        }
        return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new DataException($"{place}: {name} must be a string; {Written}");
    }

    const string Written = "write {\"input\": \"…\", \"target\": \"…\"} a line";

    /// <summary>
    /// Tasks to learn from, and 5 % of them, one at least, to measure on: which, depends on their number alone, so that every run holds the same ones out.
    /// </summary>
    /// <param name="name">What errors call the file.</param>
    public static (IReadOnlyList<TextTask> Train, IReadOnlyList<TextTask> HeldOut) Split(IReadOnlyList<TextTask> tasks, string name)
    {
        if (tasks.Count < 2) throw new DataException($"{name}: {tasks.Count} task: one to learn from and one to hold out are needed; add tasks");
        var order = Shuffle.Order(new Streams(0).Named("text/held-out tasks"), 0, tasks.Count);
        var held = Math.Max(1, (int)(tasks.Count * HeldOutShare));
        return ([.. order[held..].Order().Select(i => tasks[i])], [.. order[..held].Order().Select(i => tasks[i])]);
    }
}
