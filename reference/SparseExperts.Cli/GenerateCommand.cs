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
        var prompt = new Option<string>("--prompt") { Description = "Text to continue; of an encoder and decoder, to read: <extra_id_0> is filled.", DefaultValueFactory = _ => "\n" };
        var bytes = new Option<int>("--bytes") { Description = "How much to write.", DefaultValueFactory = _ => 400 };
        var temperature = new Option<double>("--temperature")
        {
            Description = "0 takes the likeliest byte, 1 samples from the model's distribution.",
            DefaultValueFactory = _ => 0.8,
        };
        var topK = new Option<int>("--top-k") { Description = "Sample among the k likeliest bytes; 0 among all.", DefaultValueFactory = _ => 0 };
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
            run, prompt, bytes, temperature, topK, beams, penalty, seed, threads, backend, precision, plugins,
        };
        command.SetAction(parsed =>
        {
            var (count, heat, top) = (parsed.GetValue(bytes), parsed.GetValue(temperature), parsed.GetValue(topK));
            if (count is < 1 or > 1_000_000) throw new ConfigurationException($"--bytes {count}: between 1 and 1000000");
            if (!(heat >= 0 && double.IsFinite(heat))) throw new ConfigurationException($"--temperature {heat}: 0 or more");
            if (top < 0) throw new ConfigurationException($"--top-k {top}: 0 or more");
            using var machine = BackendCatalog.Create(
                parsed.GetValue(backend)!,
                parsed.GetValue(threads),
                parsed.GetValue(plugins),
                parsed.GetValue(precision));
            var opened = TrainingRun.Open(parsed.GetValue(run)!, _ => machine);
            if (opened.Note is { } note) Console.Error.WriteLine($"warning: {CommandRunner.OneLine(note)}");
            if (opened.Config.Model is T5Config)
            {
                var search = parsed.GetValue(beams) is { } width ? new BeamRule(width, parsed.GetValue(penalty)) : null;
                int? most = parsed.GetResult(bytes) is { Implicit: false } ? count : null;
                Console.WriteLine(TextToTextPrompt.Write(opened, parsed.GetValue(prompt)!, most, new(heat, top), search, parsed.GetValue(seed)));
                return ExitCode.Ok;
            }
            if (parsed.GetValue(beams) is not null) throw new ConfigurationException("--beams: for models with an encoder and decoder; leave it out");
            var start = Encoding.UTF8.GetBytes(parsed.GetValue(prompt)!);
            using var output = Console.OpenStandardOutput();
            output.Write(start);
            output.Write(Generation.Continue(opened.Predictor, start, count, heat, top, parsed.GetValue(seed)));
            output.Write("\n"u8);
            return ExitCode.Ok;
        });
        return command;
    }
}
