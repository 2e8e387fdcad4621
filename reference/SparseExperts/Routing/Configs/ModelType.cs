namespace SparseExperts.Routing.Configs;

/// <summary>A <c>model_type</c> of transformers with a routed part: how its configuration names a dialect's parameters. All of it is data.</summary>
public sealed record ModelType
{
    /// <summary>The <c>model_type</c> of the routed part.</summary>
    public required string Name { get; init; }

    /// <summary>Other <c>model_type</c>s that lead here: composite models whose routed part it is, and older names.</summary>
    public IReadOnlyList<string> Also { get; init; } = [];

    /// <summary>The beginning of its classes' names: <c>Qwen3Moe</c> of <c>Qwen3MoeForCausalLM</c>.</summary>
    public required IReadOnlyList<string> Classes { get; init; }

    /// <summary>The dialect's name.</summary>
    public required string Dialect { get; init; }

    /// <summary>The rule in words.</summary>
    public required string Rule { get; init; }

    /// <summary>Where one type has a dialect for each major version of the library: the version that wrote the file; 0 for every other.</summary>
    public int Version { get; init; }

    /// <summary>Where a rule was left within a major version: the first minor one that has it no more.</summary>
    public int? Until { get; init; }

    /// <summary>It is the one of this type that such a library has.</summary>
    internal bool IsOf(LibraryVersion version) => Version == version.Major && !(version.Minor >= Until);

    /// <summary>How many routed experts there are; not a parameter.</summary>
    public required Setting Experts { get; init; }

    public required IReadOnlyList<Setting> Settings { get; init; }

    public IReadOnlyList<FixedKey> Fixed { get; init; } = [];

    /// <summary>Keys of this type that look like routing and are none of it.</summary>
    public IReadOnlyList<string> Besides { get; init; } = [];

    /// <summary>Why this configuration has no routed part, or null.</summary>
    public Func<ConfigPart, string?>? Dense { get; init; }

    /// <summary>What one dialect cannot say of this configuration, or null.</summary>
    public Func<ConfigPart, string?>? Note { get; init; }
}
