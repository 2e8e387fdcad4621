using System.CommandLine;
using SparseExperts.Bench;

var results = new Option<string>("--results") { DefaultValueFactory = _ => "headline.jsonl", Description = "File of finished trainings; those in it are not repeated." };
var steps = new Option<long>("--steps") { DefaultValueFactory = _ => 20000, Description = "Steps of every training." };
var width = new Option<int>("--width") { DefaultValueFactory = _ => 32, Description = "Model width." };
var experts = new Option<int[]>("--experts") { DefaultValueFactory = _ => [0, 4, 16, 64], AllowMultipleArgumentsPerToken = true, Description = "Numbers of experts; 0 is the dense twin." };
var seeds = new Option<int>("--seeds") { DefaultValueFactory = _ => 3, Description = "Seeds 0, 1, …" };
var threads = new Option<int>("--threads") { DefaultValueFactory = _ => 0, Description = "Threads; the numbers do not depend on them." };
var headline = new Command("headline", "Sparse models against their dense twin at equal steps: the README's table.") { results, steps, width, experts, seeds, threads };
headline.SetAction(parsed => Headline.Run(parsed.GetValue(results)!, parsed.GetValue(steps), parsed.GetValue(width), parsed.GetValue(experts)!, parsed.GetValue(seeds), parsed.GetValue(threads)));
return new RootCommand("Benchmarks of SparseExperts.") { headline }.Parse(args).Invoke();
