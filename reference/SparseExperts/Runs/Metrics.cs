using System.Text.Json;
using SparseExperts.Formats;

namespace SparseExperts.Runs;

/// <summary>One line of <c>metrics.jsonl</c>. What was not measured at a step is absent.</summary>
public sealed record MetricsLine
{
    public required long Step { get; init; }

    /// <summary>Training time so far, pauses between resumed parts left out.</summary>
    public required double Seconds { get; init; }

    /// <summary>Mean over the steps since the line before.</summary>
    public double? TrainBitsPerByte { get; init; }
    public double? HeldOutBitsPerByte { get; init; }

    /// <summary>Share of held-out tasks whose targets were written exactly, where the data are tasks; measured at the end.</summary>
    public double? ExactMatch { get; init; }
    public double? TokensPerSecond { get; init; }
    public double? DropRate { get; init; }
    public double? LearningRate { get; init; }
    public double? GradientNorm { get; init; }

    /// <summary>Per sparse layer and expert: share of the batch's tokens that chose it, dropped ones included.</summary>
    public double[][]? Load { get; init; }
    public double[]? LayerDropRate { get; init; }

    /// <summary>Per sparse layer, in bits.</summary>
    public double[]? RouterEntropy { get; init; }

    /// <summary>Steps so far whose loss or gradient was not finite.</summary>
    public long? Skipped { get; init; }
}

/// <summary>The file of metrics: appended line by line, cut back when a run goes on from an earlier step.</summary>
public static class MetricsFile
{
    public static void Append(string path, MetricsLine line) => File.AppendAllText(path, JsonSerializer.Serialize(line, RunConfig.JsonLine) + "\n");

    /// <summary>All whole lines; one torn by a crash is left out.</summary>
    public static List<MetricsLine> Read(string path)
    {
        var lines = new List<MetricsLine>();
        if (!File.Exists(path)) return lines;
        foreach (var text in File.ReadLines(path))
            if (TryParse(text) is { } line) lines.Add(line);
        return lines;
    }

    /// <summary>Removes what was written after <paramref name="step"/>, so that resumed steps do not stand there twice.</summary>
    public static List<MetricsLine> CutAfter(string path, long step)
    {
        var kept = Read(path).Where(line => line.Step <= step).ToList();
        AtomicFile.WriteText(path, string.Concat(kept.Select(line => JsonSerializer.Serialize(line, RunConfig.JsonLine) + "\n")));
        return kept;
    }

    /// <summary>A run of more than a million years (3·10¹³ s), numbers that are none and layers without experts are nobody's measurement.</summary>
    static bool CanBe(MetricsLine line)
    {
        double?[] bits = [line.TrainBitsPerByte, line.HeldOutBitsPerByte, line.ExactMatch];
        double?[] single = [.. bits, line.TokensPerSecond, line.DropRate, line.LearningRate, line.GradientNorm];
        double[]?[] several = [.. line.Load ?? [], line.LayerDropRate ?? [], line.RouterEntropy ?? []];
        return line.Step >= 0 && line.Seconds is >= 0 and <= 3e13 && line.Skipped is null or >= 0
            && single.All(n => n is not { } number || double.IsFinite(number))
            && several.All(numbers => numbers is not null && numbers.All(double.IsFinite));
    }

    static MetricsLine? TryParse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<MetricsLine>(text, RunConfig.JsonLine) is { } line && CanBe(line) ? line : null;
        }
        catch (JsonException)
        {
            return null;        // the one line that a crash tore
        }
    }
}
