using System.CommandLine;
using System.Text;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary><c>moe generate</c>: lets a trained model write.</summary>
static class GenerateCommand
{
    public static Command Create()
    {
        var run = CommonOptions.Run();
        var prompt = new Option<string>("--prompt")
        {
            Description = "Text to continue; of an encoder and decoder, to read: <extra_id_0> is filled.",
            DefaultValueFactory = _ => "\n",
        };
        var bytes = new Option<int?>("--bytes") { Description = "How much to write, of a model that reads bytes. Default: 400." };
        var tokens = new Option<int?>("--tokens") { Description = "How much to write, of a model with a tokenizer. Default: 100." };
        var temperature = new Option<double>("--temperature")
        {
            Description = "0 takes the likeliest token, 1 samples from the model's distribution.",
            DefaultValueFactory = _ => 0.8,
        };
        var topK = new Option<int>("--top-k") { Description = "Sample among the k likeliest tokens; 0 among all.", DefaultValueFactory = _ => 0 };
        var topP = new Option<double>("--top-p")
        {
            Description = "Sample among the fewest tokens that have so much of the probability; 1 among all.",
            DefaultValueFactory = _ => 1,
        };
        var stop = new Option<string[]>("--stop") { Description = "Stop where this text would be written; may be given several times." };
        var seed = new Option<ulong>("--seed") { Description = "Seed of the sampling.", DefaultValueFactory = _ => 0 };
        var beams = new Option<int?>("--beams") { Description = "Of an encoder and decoder: search with so many beams instead of drawing." };
        var penalty = new Option<double>("--length-penalty")
        {
            Description = "Of a beam search: scores are divided by the length to this power.",
            DefaultValueFactory = _ => 1,
        };
        var (threads, backend, precision, plugins) = (CommonOptions.Threads(), CommonOptions.Backend(), CommonOptions.Precision(), CommonOptions.Plugins());
        var command = new Command("generate", "Continue a text with a trained model.")
        {
            run, prompt, bytes, tokens, temperature, topK, topP, stop, beams, penalty, seed, threads, backend, precision, plugins,
        };
        command.SetAction(parsed =>
        {
            var rule = new SamplingRule(parsed.GetValue(temperature), parsed.GetValue(topK), parsed.GetValue(topP));
            rule.Validate();
            RefuseVain(parsed, penalty, parsed.GetValue(beams) is null, "without --beams");
            foreach (var option in (Option[])[temperature, topK, topP, seed])
                RefuseVain(parsed, option, parsed.GetValue(beams) is not null, "with --beams, which draw nothing");
            foreach (var option in (Option[])[topK, topP, seed])
                RefuseVain(parsed, option, parsed.GetValue(temperature) == 0, "with --temperature 0, which takes the likeliest token");
            foreach (var option in (Option<int?>[])[bytes, tokens])
                if (parsed.GetValue(option) is < 1 or > 1_000_000)
                    throw new ConfigurationException($"{option.Name} {parsed.GetValue(option)}: between 1 and 1000000");
            using var machine = BackendCatalog.Create(
                parsed.GetValue(backend)!,
                parsed.GetValue(threads),
                parsed.GetValue(plugins),
                parsed.GetValue(precision));
            using var opened = TrainingRun.Open(Found.As(Wanted.Run, parsed.GetValue(run)!), _ => machine);
            if (opened.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
            var (unit, besides, usual) = opened.Data.Tokenizer is null ? (bytes, tokens, 400) : (tokens, bytes, 100);
            if (parsed.GetValue(besides) is not null)
                throw new ConfigurationException($"{besides.Name}: not for a run that {(unit == bytes ? "reads bytes" : "has a tokenizer")}; say {unit.Name}");
            if (opened.Config.Model is ITextToTextConfig model)
            {
                if (parsed.GetValue(stop) is { Length: > 0 }) throw new ConfigurationException("--stop: not for an encoder and decoder; leave it out");
                var search = parsed.GetValue(beams) is { } width ? new BeamRule(width, parsed.GetValue(penalty)) : null;
                var answer = TextToTextPrompt.Write(
                    opened, model, parsed.GetValue(prompt)!, parsed.GetValue(unit), rule, search, parsed.GetValue(seed), out var unfilled);
                Console.WriteLine(answer);
                if (unfilled.Count > 0) Console.Error.WriteLine($"note: the model wrote nothing for {string.Join(", ", unfilled)}");
                return ExitCode.Ok;
            }
            if (parsed.GetValue(beams) is not null) throw new ConfigurationException("--beams: for models with an encoder and decoder; leave it out");
            var start = Encoding.UTF8.GetBytes(parsed.GetValue(prompt)!);
            var written = RunWriter.Continue(opened, start, parsed.GetValue(unit) ?? usual, rule, parsed.GetValue(seed), parsed.GetValue(stop) ?? []);
            OutputWriter.Write([.. start, .. written, .. "\n"u8]);
            return ExitCode.Ok;
        });
        return command;
    }

    static void RefuseVain(ParseResult parsed, Option option, bool isVain, string why)
    {
        if (isVain && parsed.GetResult(option) is { Implicit: false }) throw new ConfigurationException($"{option.Name}: changes nothing {why}; leave it out");
    }
}
