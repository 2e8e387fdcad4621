using System.Globalization;
using System.Text;
using SparseExperts.Analysis;
using SparseExperts.Formats;
using SparseExperts.Layers;
using SparseExperts.Models;

namespace SparseExperts.Runs;

/// <summary>Gathers what <see cref="RunReport"/> shows from a run's folder and its trained model.</summary>
public static class RunReportBuilder
{
    const int SampleBytes = 600, SampleContexts = 5, Windows = 64, TopTokens = 8, Examples = 3;

    /// <summary>Writes <c>report.html</c> and returns its path.</summary>
    public static string Write(TrainedRun run)
    {
        var path = TrainingRun.ReportPath(run.Folder);
        AtomicFile.WriteText(path, RunReport.Html(Build(run)));
        return path;
    }

    static RunReportData Build(TrainedRun run)
    {
        var metrics = MetricsFile.Read(TrainingRun.MetricsPath(run.Folder));
        var kind = run.Config.Model.Experts == 0 ? "dense" : $"{run.Config.Model.Experts} experts";
        return new(
            $"{Path.GetFileName(run.Config.Text)}: {kind}, {run.Predictor.Step} steps",
            Configuration(run), [.. metrics.Select(Point)], Sample(run),
            Experts(run), Notes(run, metrics));
    }

    static string Sample(TrainedRun run)
    {
        if (run.Predictor.Model is ITextToTextModel writes) return TextToTextSample.Of(run, writes.Config);
        if (run.Predictor.Model is not ICausalModel) return "";
        var context = run.Config.Model.Context;
        var prompt = run.Text.HeldOut[..Math.Min(run.Text.HeldOut.Length, context / 2)];
        // A few times what it looks back at shows what it has learnt.
        var count = Math.Min(run.Data.Tokenizer is null ? SampleBytes : SampleBytes / 4, SampleContexts * context);
        var more = RunWriter.Continue(run, prompt, count, new(0.8), run.Config.Training.Seed);
        return Encoding.UTF8.GetString(prompt) + Encoding.UTF8.GetString(more);
    }

    static List<(string, string)> Configuration(TrainedRun run)
    {
        var (model, training) = (run.Config.Model, run.Config.Training);
        return
        [
            ("preset", run.Config.Preset),
            ("text", $"{Path.GetFileName(run.Config.Text)}, {Number(run.Config.TextBytes)} bytes, last 5 % held out"),
            ("parameters", $"{Number(run.Predictor.Model.ParameterCount)}, of which a token meets {Number(run.Predictor.Model.ActiveParameterCount)}"),
            .. model.Describe(),
            ("optimizer", $"{training.Optimizer}, rate {Number(training.Rate)}, {training.Schedule}, warm-up {training.WarmUp}, clip {Number(training.Clip)}"),
            ("budget", training.Steps > 0 ? $"{training.Steps} steps" : $"{Number(training.Minutes)} minutes"),
            ("batch", $"{training.Batch} × {string.Join(" + ", model.Lengths)} {(run.Config.Data == DataKind.Bytes ? "bytes" : "tokens")}"
                + (training.Accumulate == 1 ? "" : $", in {training.Accumulate} micro-batches")),
            .. Spans(run.Config) is { } spans ? new[] { ("spans", spans) } : [],
            ("seed", training.Seed.ToString(CultureInfo.InvariantCulture)),
            ("backend", $"{run.Config.Backend}, {run.Config.Threads} threads"),
            ("precision", run.Config.Precision == Precision.Exact ? "exact products" : $"{run.Config.Precision.Text()} products, exact in routers"),
        ];
    }

    static string? Spans(RunConfig config)
    {
        if (config.Data != DataKind.Spans) return null;
        var spans = config.Spans ?? new();
        return $"{Number(100 * spans.NoiseDensity)} % of the text, in the mean {Number(spans.MeanSpanLength)} tokens each";
    }

    static ReportPoint Point(MetricsLine line) => new(line.Step, line.Seconds, line.TrainBitsPerByte, line.HeldOutBitsPerByte, line.TokensPerSecond,
        line.DropRate, line.RouterEntropy?.Average(), line.LearningRate, line.GradientNorm, line.Load, line.LayerDropRate, line.RouterEntropy);

    static List<string> Notes(TrainedRun run, List<MetricsLine> metrics)
    {
        var notes = new List<string> {
            "Held-out loss: windows of one context each, without overlap; during training the first of them, at the end all of them." };
        if (metrics.LastOrDefault()?.Skipped is > 0 and var skipped) notes.Add($"{skipped} steps were skipped because their loss or gradient was not finite.");
        if (run.Config.Model.Experts > 0) notes.Add("What experts received was counted on held-out text.");
        return notes;
    }

    /// <summary>Routes held-out windows and counts which tokens every expert was asked to take (Fedus et al. 2022; Cai et al. 2024, tables 2 and 3).</summary>
    static List<ExpertSummary> Experts(TrainedRun run)
    {
        var model = run.Config.Model;
        if (model.Experts == 0) return [];
        var batch = run.Data.HeldOut(Windows, Windows).First();
        var layers = run.Predictor.Evaluate(batch, (result, _) => result.Sparse.Select(s => (s.Plan.Expert, Ids: IdsOf(s))).ToArray());
        int[] IdsOf(SparseResult sparse) => sparse.Ids.Length > 0 ? sparse.Ids : batch.Ids;
        var summaries = new List<ExpertSummary>();
        for (var layer = 0; layer < layers.Length; layer++)
            for (var expert = 0; expert < model.Experts; expert++)
            {
                var (choices, ids) = layers[layer];
                var k = choices.Length / ids.Length;
                var places = Enumerable.Range(0, ids.Length).Where(i => choices.AsSpan(i * k, k).Contains(expert)).ToArray();
                var top = places.GroupBy(i => ids[i]).OrderByDescending(g => g.Count()).ThenBy(g => g.Key).Take(TopTokens)
                    .Select(g => (run.Data.Show(g.Key), (double)g.Count() / places.Length));
                var examples = Enumerable.Range(0, Math.Min(Examples, places.Length)).Select(n => places[n * places.Length / Examples])
                    .Select(i => Around(run.Data, ids, i));
                summaries.Add(new(layer, expert, (double)places.Length / ids.Length, [.. top], [.. examples]));
            }
        return summaries;
    }

    static string Around(RunData data, int[] ids, int place)
    {
        int start = Math.Max(0, place - 12), end = Math.Min(ids.Length, place + 12);
        string Shown(Range range) => string.Concat(ids[range].Select(data.Show));
        return $"{Shown(start..place)}⟦{data.Show(ids[place])}⟧{Shown((place + 1)..end)}";
    }

    static string Number(double value) =>
        value.ToString(value == Math.Floor(value) && Math.Abs(value) < 1e15 ? "N0" : "0.######", CultureInfo.InvariantCulture);
}
