using System.CommandLine;
using BenchmarkDotNet.Running;
using SparseExperts.Bench;

var results = new Option<string>("--results") { DefaultValueFactory = _ => "headline.jsonl", Description = "File of finished trainings; those in it are not repeated." };
var steps = new Option<long>("--steps") { DefaultValueFactory = _ => 20000, Description = "Steps of every training." };
var width = new Option<int>("--width") { DefaultValueFactory = _ => 32, Description = "Model width." };
var experts = new Option<int[]>("--experts") { DefaultValueFactory = _ => [0, 4, 16, 64], AllowMultipleArgumentsPerToken = true, Description = "Numbers of experts; 0 is the dense twin." };
var seeds = new Option<int>("--seeds") { DefaultValueFactory = _ => 3, Description = "Seeds 0, 1, …" };
var threads = new Option<int>("--threads") { DefaultValueFactory = _ => 0, Description = "Threads; the numbers do not depend on them." };
var headline = new Command("headline", "Sparse models against their dense twin at equal steps: the README's table.") { results, steps, width, experts, seeds, threads };
headline.SetAction(parsed => Headline.Run(parsed.GetValue(results)!, parsed.GetValue(steps), parsed.GetValue(width), parsed.GetValue(experts)!, parsed.GetValue(seeds), parsed.GetValue(threads)));

var rounds = new Option<int>("--rounds") { DefaultValueFactory = _ => 3, Description = "Rounds; the best of each counts." };
var peerSteps = new Option<int>("--steps") { DefaultValueFactory = _ => 600, Description = "Steps a round; the peer takes a third." };
var peerThreads = new Option<int>("--threads") { DefaultValueFactory = _ => 2, Description = "Threads of both." };
var python = new Option<string>("--python") { DefaultValueFactory = _ => "/usr/bin/python3", Description = "Interpreter that has PyTorch." };
var script = new Option<string>("--script") { DefaultValueFactory = _ => "bench/peers/switch_lm.py", Description = "The peer." };
var peer = new Command("peer", "Training throughput beside PyTorch's, in one run.") { rounds, peerSteps, peerThreads, python, script };
peer.SetAction(parsed => PeerStep.Run(parsed.GetValue(rounds), parsed.GetValue(peerSteps), parsed.GetValue(peerThreads), parsed.GetValue(python)!, parsed.GetValue(script)!));

var minutes = new Option<double>("--minutes") { DefaultValueFactory = _ => 2, Description = "Training time of every candidate." };
var search = new Command("search", "The small search behind the default preset.") { minutes };
search.SetAction(parsed => Search.Run(parsed.GetValue(minutes)));

var familySteps = new Option<int>("--steps") { DefaultValueFactory = _ => 2000, Description = "Steps of every training." };
var families = new Command("families", "One router of every family on the same small model.") { familySteps, threads };
families.SetAction(parsed => Families.Run(parsed.GetValue(familySteps), parsed.GetValue(threads)));

var checkRounds = new Option<int>("--rounds") { DefaultValueFactory = _ => 3, Description = "Runs of each; the fastest counts." };
var cases = new Option<string>("--cases") { DefaultValueFactory = _ => "tests/SparseExperts.Tests/Oracle/cases", Description = "Folder of recorded calls." };
var check = new Command("check", "How long moe check takes.") { checkRounds, cases };
check.SetAction(parsed => CheckTimes.Run(parsed.GetValue(checkRounds), parsed.GetValue(cases)!));

var against = new Option<string>("--against") { Required = true, Description = "Folder of another build's moe.dll." };
var presets = new Option<string[]>("--presets") { DefaultValueFactory = _ => ["default", "medium", "switch"], AllowMultipleArgumentsPerToken = true, Description = "Presets to train." };
var pairs = new Option<int>("--pairs") { DefaultValueFactory = _ => 15, Description = "Pairs of runs; the median counts." };
var stepSteps = new Option<int>("--steps") { DefaultValueFactory = _ => 120, Description = "Steps of every run." };
var stepThreads = new Option<int>("--threads") { DefaultValueFactory = _ => 2, Description = "Threads of both." };
var step = new Command("step", "The training step beside that of another build, run by run in turn.") { against, presets, pairs, stepSteps, stepThreads };
step.SetAction(parsed => StepAgainst.Run(parsed.GetValue(against)!, parsed.GetValue(presets)!, parsed.GetValue(pairs), parsed.GetValue(stepSteps), parsed.GetValue(stepThreads)));

var dialects = new Option<string[]>("--dialects") { DefaultValueFactory = _ => [], AllowMultipleArgumentsPerToken = true, Description = "Dialects; all where none is named." };
var probes = new Option<string[]>("--probes") { DefaultValueFactory = _ => [], AllowMultipleArgumentsPerToken = true, Description = "Probes, as plain-train; all where none is named." };
var passed = new Option<string?>("--passed") { Description = "File for the calls that do not differ." };
var planted = new Command("planted", "How many one-axis changes moe check sees in the probes.") { dialects, probes, passed };
planted.SetAction(parsed => Planted.Run(parsed.GetValue(dialects)!, parsed.GetValue(probes)!, parsed.GetValue(passed)));

var generateSteps = new Option<int>("--steps") { DefaultValueFactory = _ => 300, Description = "Steps of training before." };
var contexts = new Option<int[]>("--contexts") { DefaultValueFactory = _ => [128, 512], AllowMultipleArgumentsPerToken = true, Description = "Contexts." };
var written = new Option<int>("--bytes") { DefaultValueFactory = _ => 0, Description = "Bytes to write; 0 fills the context." };
var generateThreads = new Option<int>("--threads") { DefaultValueFactory = _ => 2, Description = "Threads." };
var generate = new Command("generate", "How fast models write, with and without kept keys and values.") { generateSteps, contexts, written, generateThreads };
generate.SetAction(parsed => Generate.Run(parsed.GetValue(generateSteps), parsed.GetValue(contexts)!, parsed.GetValue(written), parsed.GetValue(generateThreads)));

var kernels = new Option<string[]>("--kernels") { DefaultValueFactory = _ => [], AllowMultipleArgumentsPerToken = true, Description = "Kernels to change; all where none is named." };
var perKernel = new Option<int>("--per-kernel") { DefaultValueFactory = _ => 40, Description = "Changes of each." };
var mutantSeed = new Option<int>("--seed") { DefaultValueFactory = _ => 1, Description = "Seed of the draw." };
var mutantEdges = new Option<int>("--every") { DefaultValueFactory = _ => 1, Description = "One edge of a card in so many." };
var mutants = new Command("mutants", "One instruction of the GPU's kernels changed at a time, on the emulator: how many changes the cards' cases see.") { kernels, perKernel, mutantSeed, mutantEdges };
mutants.SetAction(parsed => MutantTable.Run(parsed.GetValue(kernels)!, parsed.GetValue(perKernel), parsed.GetValue(mutantSeed), parsed.GetValue(mutantEdges)));

var arguments = new Argument<string[]>("arguments") { Arity = ArgumentArity.ZeroOrMore, Description = "Passed on to BenchmarkDotNet, for example --filter '*Step*' --job short." };
var micro = new Command("micro", "BenchmarkDotNet over the op cards and the training step.") { arguments };
micro.SetAction(parsed => BenchmarkSwitcher.FromAssembly(typeof(CardBenchmarks).Assembly).Run(parsed.GetValue(arguments)!.Length > 0 ? parsed.GetValue(arguments)! : ["--filter", "*"]));

return new RootCommand("Benchmarks of SparseExperts.") { headline, peer, search, families, check, planted, step, generate, mutants, micro }.Parse(args).Invoke();
