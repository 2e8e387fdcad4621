using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using SparseExperts.Formats;
using SparseExperts.Runs;
using Spectre.Console;

namespace SparseExperts.Cli;

/// <summary>Where a run's progress goes: a live table on a terminal, plain lines in a file or pipe, JSON lines for machines.</summary>
abstract class TrainingScreen
{
    public static TrainingScreen Choose(TrainingRun run, bool json) =>
        json ? new JsonScreen() : Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Ansi ? new PlainScreen(run) : new LiveScreen(run);

    public abstract RunOutcome Show(Func<Action<RunProgress>, Action<MetricsLine>, RunOutcome> execute);
    public abstract void Say(string line);
    public abstract void Done(MetricsLine last, string report);

    protected static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
    protected static string Time(double seconds) => seconds is >= 0 and < 1e9
        ? TimeSpan.FromSeconds(seconds).ToString(seconds >= 3600 ? @"h\:mm\:ss" : @"m\:ss", CultureInfo.InvariantCulture)
        : "–";

    /// <summary>What a loss is counted in.</summary>
    protected static string Bits(TrainingRun run) => $"bits/{run.Data.Unit}";

    protected static string Header(TrainingRun run)
    {
        var (model, training) = (run.Config.Model, run.Config.Training);
        var kind = model.Experts == 0 ? "dense" : $"{model.Experts} experts · {model.Dialect.Name}";
        return $"{VisibleWriter.Visible(Path.GetFileName(run.Config.Text))} ({run.Config.TextBytes:N0} bytes) · {kind} · {model.Title} · "
            + $"{run.Trainer.Model.ParameterCount:N0} parameters, {run.Trainer.Model.ActiveParameterCount:N0} a token · "
            + $"{(training.Steps > 0 ? $"{training.Steps} steps" : $"{training.Minutes.ToString(CultureInfo.InvariantCulture)} min")} · "
            + $"{run.Trainer.Backend.Info.Device}, {run.Trainer.Backend.Info.Threads} threads";
    }

    /// <summary>A load as a row of bars: full height is twice the even share.</summary>
    protected static string Bars(double[] load)
    {
        const string bars = " ▁▂▃▄▅▆▇█";
        return string.Concat(load.Select(share => bars[Math.Clamp((int)Math.Round(share * load.Length * 4), share > 0 ? 1 : 0, 8)]));
    }
}

/// <summary>One JSON object a line, as in <c>metrics.jsonl</c>.</summary>
sealed class JsonScreen : TrainingScreen
{
    public override RunOutcome Show(Func<Action<RunProgress>, Action<MetricsLine>, RunOutcome> execute) =>
        execute(_ => { }, line => Console.WriteLine(JsonSerializer.Serialize(line, RunConfig.JsonLine)));

    public override void Say(string line) => Console.Error.WriteLine(line);
    public override void Done(MetricsLine last, string report) => Console.Error.WriteLine($"report: {report}");
}

/// <summary>A line every few seconds.</summary>
sealed class PlainScreen(TrainingRun run) : TrainingScreen
{
    const double Every = 5;

    public override RunOutcome Show(Func<Action<RunProgress>, Action<MetricsLine>, RunOutcome> execute)
    {
        Console.WriteLine(Header(run));
        Console.WriteLine($"run folder: {VisibleWriter.Visible(run.Folder)}");
        var clock = Stopwatch.StartNew();
        var due = 0.0;
        return execute(progress =>
        {
            if (clock.Elapsed.TotalSeconds < due) return;
            due = clock.Elapsed.TotalSeconds + Every;
            Console.WriteLine(Line(progress));
        }, line =>
        {
            if (line.HeldOutBitsPerByte is { } heldOut) Console.WriteLine($"step {line.Step,6}  held-out {Number(heldOut, "F4")} {Bits(run)}");
        });
    }

    string Line(RunProgress p) =>
        $"step {p.Last.Step,6}  train {Number(p.BitsPerByte, "F3")} {Bits(run)}  {p.TokensPerSecond.ToString("N0", CultureInfo.InvariantCulture)} tokens/s  "
        + (p.Last.DropRates.Length > 0 ? $"dropped {Number(100 * p.Last.DropRates.Average(), "F1")} %  " : "")
        + (p.Last.Loads.Length > 0 ? $"busiest expert {Number(p.Last.Loads.Max(l => l.Max() * l.Length), "F1")}× even  " : "")
        + (p.Last.Skipped ? "SKIPPED (not finite)  " : "") + $"ETA {Time(p.SecondsLeft)}";

    public override void Say(string line) => Console.WriteLine(line);

    public override void Done(MetricsLine last, string report)
    {
        Console.WriteLine($"held-out {Number(last.HeldOutBitsPerByte ?? double.NaN, "F4")} {Bits(run)} after {last.Step} steps in {Time(last.Seconds)}");
        Console.WriteLine($"report: {report}");
    }
}

/// <summary>A table that redraws itself four times a second.</summary>
sealed class LiveScreen(TrainingRun run) : TrainingScreen
{
    double[][] _loads = [];

    public override RunOutcome Show(Func<Action<RunProgress>, Action<MetricsLine>, RunOutcome> execute)
    {
        AnsiConsole.WriteLine(Header(run));
        AnsiConsole.MarkupLine($"[grey]run folder: {Markup.Escape(VisibleWriter.Visible(run.Folder))} · Ctrl-C saves and stops[/]");
        var outcome = RunOutcome.Finished;
        AnsiConsole.Live(new Spectre.Console.Text("starting …")).Start(live =>
        {
            var clock = Stopwatch.StartNew();
            var due = 0.0;
            double? heldOut = null;
            outcome = execute(progress =>
            {
                if (progress.Last.Loads.Length > 0) _loads = progress.Last.Loads;
                if (clock.Elapsed.TotalSeconds < due) return;
                due = clock.Elapsed.TotalSeconds + 0.25;
                live.UpdateTarget(Table(progress, heldOut));
            }, line => heldOut = line.HeldOutBitsPerByte ?? heldOut);
        });
        return outcome;
    }

    Table Table(RunProgress p, double? heldOut)
    {
        var done = (int)Math.Clamp(p.Progress * 30, 0, 30);
        var table = new Table().Border(TableBorder.None).HideHeaders().AddColumn("").AddColumn("");
        var bar = $"[green]{new string('━', done)}[/][grey]{new string('━', 30 - done)}[/]";
        table.AddRow("[grey]progress[/]", $"{bar} step {p.Last.Step}, ETA {Time(p.SecondsLeft)}");
        var measured = heldOut is { } h ? $" · held-out [bold]{Number(h, "F3")}[/]" : "";
        table.AddRow($"[grey]{Bits(run)}[/]", $"train [bold]{Number(p.BitsPerByte, "F3")}[/]{measured}");
        table.AddRow("[grey]tokens/s[/]", p.TokensPerSecond.ToString("N0", CultureInfo.InvariantCulture));
        if (p.Last.DropRates.Length > 0) table.AddRow("[grey]dropped[/]", string.Join("  ", p.Last.DropRates.Select(d => Number(100 * d, "F1") + " %")));
        for (var layer = 0; layer < _loads.Length; layer++) table.AddRow($"[grey]load {layer}[/]", Markup.Escape(Bars(_loads[layer])));
        if (p.Last.Skipped) table.AddRow("[red]skipped[/]", "the last step's loss or gradient was not finite");
        return table;
    }

    public override void Say(string line) => AnsiConsole.WriteLine(line);

    public override void Done(MetricsLine last, string report)
    {
        var measured = Number(last.HeldOutBitsPerByte ?? double.NaN, "F4");
        AnsiConsole.MarkupLine($"held-out [bold]{measured}[/] {Bits(run)} after {last.Step} steps in {Time(last.Seconds)}");
        AnsiConsole.WriteLine($"report: {report}");
    }
}
