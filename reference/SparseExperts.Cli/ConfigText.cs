using System.Text.Encodings.Web;
using System.Text.Json;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;

namespace SparseExperts.Cli;

/// <summary>What a Hugging Face configuration means, as a page or as one JSON object; what was not understood goes to standard error as well.</summary>
static class ConfigText
{
    static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Print(ConfigAnswer answer, bool json)
    {
        if (json) Console.WriteLine(answer.ToJson().ToJsonString(OneLine));
        else Page(answer);
        if (answer.Ignored.Count > 0)
        {
            var keys = string.Join(", ", answer.Ignored.Select(i => $"{i.Key} {i.Value} ({i.Why})"));
            Console.Error.WriteLine(CommandRunner.OneLine($"moe: not understood and left out: {keys}; check what your library does with it"));
        }
        if (json && answer.Note.Length > 0) Console.Error.WriteLine($"moe: {answer.Note}");
    }

    /// <summary>A name of the library and the dialect behind it, in one line.</summary>
    public static string Line(string name, ModelType type) => $"{name} is {type.Name} of transformers: {type.Rule}; its dialect is {type.Dialect}";

    static void Page(ConfigAnswer answer)
    {
        var builtIn = BuiltIn.Find(answer.Dialect) is not null;
        Console.WriteLine($"{answer.Type.Name} of transformers: dialect {answer.Dialect}{(builtIn ? "" : ", which is not built in")}");
        Console.WriteLine($"rule: {answer.Type.Rule}");
        Console.WriteLine(CommandRunner.OneLine($"experts: {ConfigPart.Brief(answer.Experts.Value)} ({answer.Experts.From})") + "\n");
        foreach (var (name, value, from) in answer.Parameters)
            Console.WriteLine(CommandRunner.OneLine($"  {name + " = " + value.ToJsonString(OneLine).Trim('"'),-44} {from}"));
        foreach (var ignored in answer.Ignored) Console.WriteLine(CommandRunner.OneLine($"  not understood: {ignored.Key} = {ignored.Value}; {ignored.Why}"));
        if (answer.Note.Length > 0) Console.WriteLine($"\n{answer.Note}");
        if (builtIn) Console.WriteLine($"\nmoe dialects {answer.Dialect} shows what it computes, with citations");
    }
}
