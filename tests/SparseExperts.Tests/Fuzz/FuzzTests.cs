using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;
using SparseExperts.Runs;
using SparseExperts.Scalar;
using SparseExperts.Tests.Truth;
using SparseExperts.Text;
using SparseExperts.Training;
using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Tests.Fuzz;

/// <summary>
/// Files that nobody wrote: good ones, changed at random. Whatever they are, reading them ends, with numbers or with one of the refusals that have a line of
/// their own. A few seeds each here; <c>SPARSEEXPERTS_FUZZ=60</c> goes on for so many seconds a test, with seeds of its own. What fails names its seed and
/// keeps its file.
/// </summary>
public sealed class FuzzTests(ITestOutputHelper output) : IDisposable
{
    /// <summary>What a check may take alone, times what a machine that does other things takes.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-fuzz-").FullName;
    bool _keep;

    static string Cases => Path.Combine(AppContext.BaseDirectory, "Oracle", "cases");

    /// <summary>Small recorded calls of every library, and those in which solvers work.</summary>
    static readonly Lazy<byte[][]> Seeds = new(() =>
        [.. Directory.GetDirectories(Cases).Order(StringComparer.Ordinal).SelectMany(library => Directory.GetFiles(library, "*.safetensors")
            .Order(StringComparer.Ordinal).Where(f => new FileInfo(f).Length < 20_000).Take(3)).Select(File.ReadAllBytes)]);

    static readonly Lazy<byte[][]> Solvers = new(() =>
        [.. ((string[])["fairseq", "flaxformer", "megatron-core"]).SelectMany(library => Directory.GetFiles(Path.Combine(Cases, library), "*.safetensors")
            .Order(StringComparer.Ordinal).Where(f => new FileInfo(f).Length < 20_000)).Select(File.ReadAllBytes)]);

    static IEnumerable<string> Files(params string[] folder) =>
        Directory.GetFiles(Path.Combine([AppContext.BaseDirectory, .. folder])).Order(StringComparer.Ordinal);

    static bool IsForeseen(Exception e) => e is ConfigurationException or DataException or RunException or InvalidFileException or RoutingException
        or DialectException or CaseException or ShapeException or IOException;

    /// <summary>Makes files from seeds and reads each.</summary>
    void Fuzz(string name, int seeds, Func<Chance, byte[]> make, Action<string> read)
    {
        var more = double.TryParse(Environment.GetEnvironmentVariable("SPARSEEXPERTS_FUZZ"), CultureInfo.InvariantCulture, out var seconds);
        var first = more ? Environment.TickCount & 0xFFFFFF : 0;
        var clock = Stopwatch.StartNew();
        var (refused, done) = (0, 0);
        for (var seed = first; more ? clock.Elapsed.TotalSeconds < seconds : seed < seeds; seed++, done++)
        {
            var path = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{seed}-{name}"));
            File.WriteAllBytes(path, make(new(seed)));
            try
            {
                var reading = Task.Run(() => read(path));
                if (!reading.WaitAsync(Patience).ContinueWith(t => t.Exception is { InnerException: TimeoutException }, TaskScheduler.Default).Result)
                    reading.GetAwaiter().GetResult();
                else Fail($"does not end within {Patience.TotalSeconds} s");
            }
            catch (Exception e) when (IsForeseen(e))
            {
                refused++;
            }
            catch (Exception e) when (!(_keep && e is Xunit.Sdk.XunitException))
            {
                Fail($"is not foreseen: {e}");
            }
            if (!_keep) File.Delete(path);
            void Fail(string what)
            {
                _keep = true;
                Assert.Fail($"seed {seed}, kept as {path}: {what}");
            }
        }
        output.WriteLine($"{name}: {done} files, {refused} refused, {clock.Elapsed.TotalSeconds:0.0} s");
    }

    [Fact]
    public void Cases_in_safetensors_are_read_or_refused() =>
        Fuzz("case.safetensors", 600, chance => CaseMutators.Safetensors(chance, chance.Of(Seeds.Value)), path => Case.Load(path));

    [Fact]
    public void Cases_in_npz_are_read_or_refused()
    {
        byte[][] seeds = [.. Files("Oracle", "npz").Select(File.ReadAllBytes)];
        Fuzz("case.npz", 800, chance => CaseMutators.Npz(chance, chance.Of(seeds)), path => Case.Load(path));
    }

    [Fact]
    public void Cases_are_checked_or_refused() =>
        Fuzz("checked.safetensors", 40, chance => CaseMutators.Safetensors(chance, chance.Of(Seeds.Value)), Check);

    /// <summary>Numbers of every magnitude where a solver looks for an assignment.</summary>
    [Fact]
    public void Solvers_end() =>
        Fuzz("solved.safetensors", 24, chance => CaseMutators.OtherNumbers(chance, chance.Of(Solvers.Value)), Check);

    /// <summary>A case's tensors are read side by side: whether the readers disturb each other shows when good files are read again and again.</summary>
    [Fact]
    public void Good_files_are_read_every_time() =>
        Fuzz("good.safetensors", 20, chance => chance.Of(Seeds.Value), path =>
        {
            using var alone = SafetensorsFile.Open(path);
            string[] names = [.. alone.Tensors.Select(t => t.Name)];
            double[][] numbers = [.. names.Select(alone.ReadDoubles)];
            var failed = SideBySide.Run(100, TimeSpan.FromMilliseconds(100), () => SafetensorsFile.Open(path), (file, reader) =>
            {
                var which = reader * (names.Length - 1);
                Assert.Equal(numbers[which], file.ReadDoubles(names[which]));
            });
            Assert.True(failed is null, $"a good file is refused: {failed?.Message}");
            Assert.NotEmpty(Case.Load(path).Tensors);
        });

    static void Check(string path)
    {
        var read = Case.Load(path);
        read.RequireClaims();
        using var backend = new ScalarBackend<Tracked>();
        var verdict = CaseCheck.Run(read, backend);
        Assert.DoesNotContain('\0', Diagnosis.Say(read, verdict, Diagnosis.Explain(read, verdict, () => new ScalarBackend<Tracked>())));
    }

    [Fact]
    public void Dialects_are_read_or_refused()
    {
        string[] seeds = [.. BuiltIn.All.Select(d => DialectFile.ToJson(d).ToJsonString()), "{\"like\": \"mesh.switch\", \"k\": 2}"];
        Fuzz("dialect.json", 600, chance => Encoding.UTF8.GetBytes(Mutators.Json(chance, chance.Of(seeds))), path => DialectFile.Resolve(path));
    }

    [Fact]
    public void Configurations_of_models_are_read_or_refused()
    {
        string[] seeds = [.. Files("Routing", "Configs", "files").Where(f => !f.EndsWith("expected.json", StringComparison.Ordinal)).Select(File.ReadAllText)];
        Fuzz("config.json", 800, chance => Encoding.UTF8.GetBytes(Mutators.Json(chance, chance.Of(seeds))),
            path => ConfigFile.Load(path).ToJson().ToJsonString());
    }

    static readonly RunConfig Run = new()
    {
        Preset = "tiny",
        Model = Presets.Find("tiny").Model,
        Training = Presets.Find("tiny").Training,
        Text = "/text",
        TextBytes = 10,
        TextHash = "00",
        Backend = "cpu",
        Threads = 1,
        CheckpointEvery = 10,
    };

    [Fact]
    public void Configurations_of_runs_are_read_or_refused()
    {
        using var backend = new CpuBackend(1);
        Fuzz("run.json", 800, chance => Encoding.UTF8.GetBytes(Mutators.Json(chance, Run.ToJson())), path =>
        {
            var config = RunConfig.Load(path);
            Trainer.Validate(config.Model, config.Training);
            Assert.True(MemoryEstimate.Bytes(config.Model, config.Training, backend) > 0);
        });
    }

    /// <summary>A tokenizer that is read also encodes and decodes.</summary>
    [Fact]
    public void Tokenizers_are_read_or_refused()
    {
        var folder = TruthFolder.Part("tokenizer");
        string[] json = [.. Directory.GetFiles(folder, "tokenizer.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(Shortened)];
        var model = File.ReadAllBytes(Path.Combine(folder, "austen-1000.model"));
        Fuzz("tokenizer", 300, chance => chance.OneIn(4)
            ? Mutators.Bytes(chance, model)
            : Encoding.UTF8.GetBytes(Mutators.Json(chance, chance.Of(json))), path =>
        {
            var tokenizer = Tokenizers.Load(path);
            var encoded = tokenizer.Encode("It is\n a  truth, 12 \u00e9 \ud83d\ude42 <|endoftext|>\ufffe", addSpecial: true);
            Assert.All(encoded.Ids, id => Assert.InRange(id, 0, tokenizer.Vocabulary - 1));
            tokenizer.Decode(encoded.Ids, skipSpecial: true);
        });
    }

    /// <summary>A tokenizer without most of its merges, so that changes hit its other parts.</summary>
    static string Shortened(string path)
    {
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        var merges = json["model"]!["merges"]!.AsArray();
        while (merges.Count > 5) merges.RemoveAt(merges.Count - 1);
        return json.ToJsonString();
    }

    [Fact]
    public void Tasks_are_read_or_refused() =>
        Fuzz("tasks.jsonl", 300, chance => Encoding.UTF8.GetBytes(Mutators.Json(chance, """{"input":"a b","target":"c"}""")), path => TextTasks.Load(path));

    [Fact]
    public void Metrics_are_read_line_by_line()
    {
        const string line = """
            {"step":20,"seconds":0.5,"train_bits_per_byte":6.1,"drop_rate":0.1,"load":[[0.5,0.5]],"layer_drop_rate":[0.1],"router_entropy":[1.5],"skipped":0}
            """;
        Fuzz("metrics.jsonl", 800, chance => Encoding.UTF8.GetBytes($"{line}\n{Mutators.Json(chance, line)}\n"), path =>
        {
            Assert.NotEmpty(MetricsFile.Read(path));
            Assert.All(MetricsFile.CutAfter(path, 20), kept => TimeSpan.FromSeconds(Math.Min(kept.Seconds, 1e11)));
        });
    }

    [Theory]
    [InlineData("state.json")]
    [InlineData("model.safetensors")]
    [InlineData("optimizer.safetensors")]
    public void Checkpoints_are_loaded_whole_or_refused(string file)
    {
        using var backend = new CpuBackend(1);
        var trainer = new Trainer(backend, Presets.Find("tiny").Model, Presets.Find("tiny").Training);
        var whole = Checkpoint.Save(trainer, Path.Combine(_folder, "whole"));
        var bytes = File.ReadAllBytes(Path.Combine(whole, file));
        var broken = Checkpoint.Save(trainer, Path.Combine(_folder, "broken"));
        Fuzz("checkpoint", 150, chance => file == "state.json" && !chance.OneIn(3)
            ? Encoding.UTF8.GetBytes(Mutators.Json(chance, Encoding.UTF8.GetString(bytes)))
            : Mutators.Bytes(chance, bytes), path =>
        {
            File.Copy(path, Path.Combine(broken, file), overwrite: true);
            var changed = !File.ReadAllBytes(path).AsSpan().SequenceEqual(bytes);
            try
            {
                Checkpoint.Load(trainer, broken);
            }
            catch (Exception e) when (IsForeseen(e))
            {
                return;
            }
            Assert.True(file == "state.json" || !changed, "other bytes than were saved are loaded");
            Assert.Equal(0, trainer.Step);
        });
    }

    public void Dispose()
    {
        if (!_keep) Directory.Delete(_folder, true);
    }
}
