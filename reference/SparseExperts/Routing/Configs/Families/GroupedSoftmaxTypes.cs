namespace SparseExperts.Routing.Configs.Families;

/// <summary>Mistral 4 and Large 4: softmax within the best groups, masked ones at 0, then scaled.</summary>
static class GroupedSoftmaxTypes
{
    public static IReadOnlyList<ModelType> All { get; } =
    [
        new()
        {
            Name = "mistral4",
            Classes = ["Mistral4"],
            Dialect = "hf.mistral4",
            Rule = "softmax in the model's type, the k best within the best groups, divided by their sum if norm_topk_prob, scaled; shared expert",
            Experts = Keys.Experts("n_routed_experts", 128),
            Settings = [Keys.Choices(4), Keys.Scale(1.0), Keys.SumUnless("sum", true), .. Keys.GroupsIfMany(1, 1, "zero"), Keys.Activation()],
        },
        new()
        {
            Name = "mistral_large4_text",
            Also = ["mistral_large4"],
            Classes = ["MistralLarge4"],
            Dialect = "hf.mistral_large4",
            Rule = "softmax, the k best within the best groups, divided by their sum, scaled; shared expert",
            Experts = Keys.Experts("n_routed_experts", 128),
            Settings = [Keys.Choices(4), Keys.Scale(1.0), .. Keys.GroupsIfMany(1, 1, "zero"), Keys.Activation()],
            Fixed = [new("norm_topk_prob", true)],
        },
    ];
}
