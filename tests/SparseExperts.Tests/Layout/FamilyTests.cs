using System.Text.RegularExpressions;
using SparseExperts.Models;
using Xunit;

namespace SparseExperts.Tests.Layout;

/// <summary>What is done with models asks them, and not of which family they are: a new family touches the places that CONTRIBUTING.md names.</summary>
public sealed class FamilyTests
{
    /// <summary>Where a family may be named: its folder, the list of families, what ships ready-made of it, and checks of its checkpoints.</summary>
    static readonly string[] Places =
    [
        "reference/SparseExperts/Models/", "reference/SparseExperts/Checking/", "reference/SparseExperts/Runs/Presets.cs",
        "reference/SparseExperts/Runs/T5Presets.cs", "reference/SparseExperts/Runs/RunConfig.cs", "reference/SparseExperts.Cli/SelfTest/",
    ];

    [Fact]
    public void Nothing_else_names_a_family()
    {
        var named = new Regex($@"\b({string.Join('|', ModelFamily.All.Select(f => f.Config.Name))}|T5[A-Z][a-z]\w+|LanguageModel|HubModel)\b");
        bool IsCode(string line) => !line.TrimStart().StartsWith("//", StringComparison.Ordinal);
        string[] elsewhere =
        [
            .. Repository.Files("*.cs").Where(file => file.StartsWith("reference/", StringComparison.Ordinal))
                .Where(file => !Places.Any(place => file.StartsWith(place, StringComparison.Ordinal)))
                .SelectMany(file => File.ReadLines(Repository.At(file)).Index().Where(line => IsCode(line.Item) && named.IsMatch(line.Item))
                    .Select(line => $"{file}:{line.Index + 1}: {line.Item.Trim()}")),
        ];
        Assert.True(elsewhere.Length == 0, $"these ask of which family a model is; let IModel or IModelConfig say it:\n{string.Join("\n", elsewhere)}");
    }
}
