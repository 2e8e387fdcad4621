using System.CommandLine;
using BenchmarkDotNet.Running;
using SparseExperts.Bench;

// What a benchmark takes where it is not told: one value, or several after one name.
static Option<T> One<T>(string name, T usual, string description) => new(name)
{
    DefaultValueFactory = _ => usual,
    Description = description,
};

static Option<T[]> Some<T>(string name, T[] usual, string description) => new(name)
{
    DefaultValueFactory = _ => usual,
    Description = description,
    AllowMultipleArgumentsPerToken = true,
};

var results = One("--results", "headline.jsonl", "File of finished trainings; those in it are not repeated.");
var steps = One("--steps", 20000L, "Steps of every training.");
var headlinePreset = One("--preset", "default", "Preset whose model and recipe they have.");
var width = One<int?>("--width", null, "Model width; by default the preset's.");
var experts = Some<int>("--experts", [0, 4, 16, 64], "Numbers of experts; 0 is the dense twin.");
var seeds = One("--seeds", 3, "Seeds 0, 1, …");
var threads = One("--threads", 0, "Threads; the numbers do not depend on them.");
var atOnce = One("--at-once", 1, "Trainings beside each other, each with its threads; the numbers do not depend on it.");
var headline = new Command("headline", "Sparse models against their dense twin at equal steps: the README's table.")
{
    results, headlinePreset, steps, width, experts, seeds, threads, atOnce,
};
headline.SetAction(parsed => Headline.Run(
    parsed.GetValue(results)!,
    parsed.GetValue(headlinePreset)!,
    parsed.GetValue(steps),
    parsed.GetValue(width),
    parsed.GetValue(experts)!,
    parsed.GetValue(seeds),
    parsed.GetValue(threads),
    parsed.GetValue(atOnce)));

var rounds = One("--rounds", 3, "Rounds; the best of each counts.");
var peerSteps = One("--steps", 600, "Steps a round; the peer takes a third.");
var peerThreads = One("--threads", 2, "Threads of both.");
var peerCommand = Some<string>("--peer", ["/usr/bin/python3", "bench/peers/switch_lm.py"], "The peer's command, a word each.");
var peer = new Command("peer", "Training throughput beside PyTorch's, in one run.") { rounds, peerSteps, peerThreads, peerCommand };
peer.SetAction(parsed => PeerStep.Run(parsed.GetValue(rounds), parsed.GetValue(peerSteps), parsed.GetValue(peerThreads), parsed.GetValue(peerCommand)!));

var minutes = One("--minutes", 2.0, "Training time of every candidate.");
var search = new Command("search", "The small search behind the default preset.") { minutes };
search.SetAction(parsed => Search.Run(parsed.GetValue(minutes)));

var familySteps = One("--steps", 2000, "Steps of every training.");
var families = new Command("families", "One router of every family on the same small model.") { familySteps, threads, atOnce };
families.SetAction(parsed => Families.Run(parsed.GetValue(familySteps), parsed.GetValue(threads), parsed.GetValue(atOnce)));

var checkRounds = One("--rounds", 3, "Runs of each; the fastest counts.");
var cases = One("--cases", "tests/SparseExperts.Tests/Oracle/cases", "Folder of recorded calls.");
var check = new Command("check", "How long moe check takes.") { checkRounds, cases };
check.SetAction(parsed => CheckTimes.Run(parsed.GetValue(checkRounds), parsed.GetValue(cases)!));

var against = new Option<string>("--against") { Required = true, Description = "Folder of another build's moe.dll." };
var presets = Some<string>("--presets", ["default", "medium", "switch"], "Presets to train.");
var pairs = One("--pairs", 15, "Pairs of runs; the median counts.");
var stepSteps = One("--steps", 120, "Steps of every run.");
var stepThreads = One("--threads", 2, "Threads of both.");
var step = new Command("step", "The training step beside that of another build, run by run in turn.") { against, presets, pairs, stepSteps, stepThreads };
step.SetAction(parsed => StepAgainst.Run(
    parsed.GetValue(against)!,
    parsed.GetValue(presets)!,
    parsed.GetValue(pairs),
    parsed.GetValue(stepSteps),
    parsed.GetValue(stepThreads)));

var stabilityPreset = One("--preset", "switch-tiny", "Preset with encoder and decoder.");
var stabilitySteps = One("--steps", 2000L, "Steps of every training.");
var stabilityRate = One("--rate", 0.0, "Peak learning rate; 0 is the preset's.");
var formats = new Command("formats", "An encoder and decoder in float32, in bfloat16, and in bfloat16 with routers in float32.")
{
    stabilityPreset, stabilitySteps, seeds, stabilityRate, threads,
};
formats.SetAction(parsed => Stability.Formats(
    parsed.GetValue(stabilityPreset)!,
    parsed.GetValue(stabilitySteps),
    parsed.GetValue(seeds),
    parsed.GetValue(stabilityRate),
    parsed.GetValue(threads)));

var coefficients = Some<double>("--coefficients", [0, 1e-3, 1e-2], "Coefficients of the z-loss.");
var zLoss = new Command("z-loss", "What the router z-loss does for the stability of training over seeds.")
{
    stabilityPreset, coefficients, stabilitySteps, seeds, stabilityRate, threads,
};
zLoss.SetAction(parsed => Stability.ZLoss(
    parsed.GetValue(stabilityPreset)!,
    parsed.GetValue(coefficients)!,
    parsed.GetValue(stabilitySteps),
    parsed.GetValue(seeds),
    parsed.GetValue(stabilityRate),
    parsed.GetValue(threads)));

var dialects = Some<string>("--dialects", [], "Dialects; all where none is named.");
var probes = Some<string>("--probes", [], "Probes, as plain-train; all where none is named.");
var passed = new Option<string?>("--passed") { Description = "File for the calls that do not differ." };
var planted = new Command("planted", "How many one-axis changes moe check sees in the probes.") { dialects, probes, passed };
planted.SetAction(parsed => Planted.Run(parsed.GetValue(dialects)!, parsed.GetValue(probes)!, parsed.GetValue(passed)));

var generateSteps = One("--steps", 300, "Steps of training before.");
var contexts = Some<int>("--contexts", [128, 512], "Contexts.");
var written = One("--bytes", 0, "Bytes to write; 0 fills the context.");
var generateThreads = One("--threads", 2, "Threads.");
var generate = new Command("generate", "How fast models write, with and without kept keys and values.") { generateSteps, contexts, written, generateThreads };
generate.SetAction(parsed => Generate.Run(
    parsed.GetValue(generateSteps),
    parsed.GetValue(contexts)!,
    parsed.GetValue(written),
    parsed.GetValue(generateThreads)));

var kernels = Some<string>("--kernels", [], "Kernels to change; all where none is named.");
var perKernel = One("--per-kernel", 40, "Changes of each.");
var mutantSeed = One("--seed", 1, "Seed of the draw.");
var mutantEdges = One("--every", 1, "One edge of a card in so many.");
const string changedKernels = "One instruction of the GPU's kernels changed at a time, on the emulator: how many changes the cards' cases see.";
var mutants = new Command("mutants", changedKernels) { kernels, perKernel, mutantSeed, mutantEdges };
mutants.SetAction(parsed => MutantTable.Run(
    parsed.GetValue(kernels)!,
    parsed.GetValue(perKernel),
    parsed.GetValue(mutantSeed),
    parsed.GetValue(mutantEdges)));

var rowFolder = One("--out", "tests/SparseExperts.Tests/Oracle/rows", "Folder to write them to.");
var rows = new Command("rows", "Pairs of calls that share tokens, as engines record them whose kernels look at the size of the batch.") { rowFolder };
rows.SetAction(parsed => RowCalls.Run(parsed.GetValue(rowFolder)!));

var arguments = new Argument<string[]>("arguments")
{
    Arity = ArgumentArity.ZeroOrMore,
    Description = "Passed on to BenchmarkDotNet, for example --filter '*Step*' --job short.",
};
var micro = new Command("micro", "BenchmarkDotNet over the op cards and the training step.") { arguments };
micro.SetAction(parsed =>
{
    var given = parsed.GetValue(arguments)!;
    BenchmarkSwitcher.FromAssembly(typeof(CardBenchmarks).Assembly).Run(given.Length > 0 ? given : ["--filter", "*"]);
});

var moe = One("--moe", "artifacts/moe/moe", "The published command.");
var starts = One("--rounds", 10, "Starts; the best counts.");
var start = new Command("start", "How long the published moe --help takes.") { moe, starts };
start.SetAction(parsed => StartTime.Run(parsed.GetValue(moe)!, parsed.GetValue(starts)));

var root = new RootCommand("Benchmarks of SparseExperts.")
{
    headline, peer, search, families, check, planted, step, generate, formats, zLoss, mutants, rows, start, micro,
};
return root.Parse(args).Invoke();
