namespace SparseExperts.Routing;

/// <summary>Which values contradict each other. Every refusal names the axis, the value and the remedy.</summary>
public static class DialectRules
{
    /// <summary>What can be said without knowing the number of experts.</summary>
    public static void Check(Dialect d)
    {
        if (DialectAxis.All.FirstOrDefault(a => !a.IsKnown(d)) is { } axis)
            throw new DialectException($"{d.Name}: {axis.Name} has no value {axis.Get(d)}: choose one of {string.Join(", ", axis.Values.Select(v => v.Name))}");
        CheckLayer(d);
        CheckNumbers(d);
        CheckRouter(d);
        CheckSelection(d);
        CheckCapacity(d);
        CheckGates(d);
        CheckExperts(d);
        CheckLosses(d);
    }

    /// <summary>What the layer of this selection does not read has its default, and what it reads a value that it knows.</summary>
    static void CheckLayer(Dialect d)
    {
        var kind = d.LayerKind();
        foreach (var axis in DialectAxis.All)
        {
            var reading = LayerAxes.Find(kind, axis);
            if (reading?.Knows(d) ?? axis.IsDefault(d)) continue;
            var (known, why) = reading is null
                ? (axis.Default ?? "nothing", "does not read it")
                : (string.Join(" or ", reading.Only.Select(axis.Spelled)), "knows no other");
            throw Refused(d, axis.Name, $"{known} with selection {Named(d, "selection")}, whose layer {why}");
        }
    }

    static void CheckNumbers(Dialect d)
    {
        Require(d, d.K >= 1, "k", "at least 1");
        Require(d, d.Groups >= 1, "groups", "at least 1");
        Require(d, d.GroupsKept >= 1 && d.GroupsKept <= d.Groups, "groups_kept", $"between 1 and groups = {d.Groups}");
        Require(d, double.IsFinite(d.CapacityFactor), "capacity_factor", "a finite number");
        Require(d, double.IsFinite(d.EvalCapacityFactor ?? 0), "eval_capacity_factor", "a finite number");
        Require(d, d.Capacity is null or >= 0, "capacity", "0 or more slots");
        Require(d, d.MinCapacity >= 0, "min_capacity", "0 or more slots");
        Require(d, d.CapacityMultiple >= 0, "capacity_multiple", "0 (off) or more");
        Require(d, d.Jitter is >= 0 and < 1, "jitter", "within [0, 1)");
        Require(d, d.InputDropout is >= 0 and < 1, "input_dropout", "within [0, 1)");
        Require(d, d.TokenDropout is >= 0 and < 1, "token_dropout", "within [0, 1)");
        Require(d, d.SecondPlaceProbability is >= 0 and <= 1, "second_place_probability", "within [0, 1]");
        Require(d, d.Temperature >= 0 && double.IsFinite(d.Temperature), "temperature", "0 or more");
        Require(d, d.NoiseStd >= 0, "noise_std", "0 or more");
        Require(d, d.Microbatches >= 1, "microbatches", "at least 1");
        Require(d, d.PreviousBatches >= 0, "previous_batches", "0 or more");
        Require(d, d.IdentityExperts >= 0, "identity_experts", "0 or more");
        Require(d, d.NullExperts >= 0, "null_experts", "0 or more");
        Require(d, d.ProductKeys >= 0, "product_keys", "0 (the root of the experts) or more");
        Require(d, d.Replicas >= 1, "replicas", "at least 1");
        Require(d, d.RouterNormEpsilon >= 0, "router_norm_epsilon", "0 or more");
        Require(d, d.ExpertsInNormEpsilon >= 0, "experts_in_norm_epsilon", "0 or more");
        Require(d, d.ExpertsPostNormEpsilon >= 0, "experts_post_norm_epsilon", "0 or more");
        Require(d, d.LogitsSoftcap >= 0, "logits_softcap", "0 (off) or more");
        Require(d, d.ActivationLimit >= 0, "activation_limit", "0 (off) or more");
        Require(d, d.ActivationGateSoftcap >= 0, "activation_gate_softcap", "0 (off) or more");
        Require(d, d.ActivationUpSoftcap >= 0, "activation_up_softcap", "0 (off) or more");
    }

    static void CheckRouter(Dialect d)
    {
        Require(d, d.Router is not (RouterForm.Mlp or RouterForm.ProductKeys)
                || d.Selection is not (Selection.HashTable or Selection.PlaceTable or Selection.TaskTable or Selection.Random),
            "router", $"none with selection {Named(d, "selection")}, which no logit decides");
        Require(d, d.Score != Score.SoftmaxOverTokens || d.Selection is Selection.ExpertChoice or Selection.OptimalTransport,
            "score", "softmax, unless experts choose");
        Require(d, d.Selection != Selection.OnePerPrototype || d.Score is Score.SoftmaxPerPrototype or Score.Softmax,
            "score", "softmax_per_prototype for one expert per prototype");
        Require(d, d.Replicas == 1 || d.GroupSplit == GroupSplit.MultipleOfExperts, "replicas", "1, unless group_split is multiple_of_experts");
    }

    static void CheckSelection(Dialect d)
    {
        Require(d, d.K == 1 || d.Selection is not (Selection.Auction or Selection.OptimalAssignment or Selection.TaskTable or Selection.Random
                or Selection.PolicySample),
            "k", $"1, for selection {Named(d, "selection")} gives one expert a token");
        Require(d, d.K == 2 || d.Selection is not (Selection.ExhaustionAware or Selection.SparseMixer),
            "k", $"2, which is all that selection {Named(d, "selection")} defines");
        Require(d, !d.ForceBalance || d.Selection == Selection.TopK, "force_balance", "false, unless selection is top_k, whose choices it replaces");
        Require(d, !d.ForceBalance || d.Gate != Gate.RankedScore, "force_balance", "false with gate ranked_score: nothing is ranked");
        Require(d, !d.BiasOfImages || d.CorrectionBias, "bias_of_images", "false, or set correction_bias, beside which it stands");
        Require(d, !d.BiasOfImages || d is { Selection: Selection.TopK, Gate: Gate.Score },
            "bias_of_images", "false, unless selection is top_k and gate score: it is for selection alone");
        Require(d, d.Policy is Policy.All or Policy.None || d.Selection is not (Selection.Cascade or Selection.DynamicTopK),
            "policy", $"all: selection {Named(d, "selection")} decides itself how many experts a token gets");
        CheckEntropy(d);
        Require(d, d.NullExperts == 0 || d.IdentityExperts == 0, "null_experts", "0: with identity experts nobody knows which come last");
        Require(d, d.NullExperts == 0 || d.CapacityFormula == CapacityFormula.None, "null_experts", "0, unless capacity_formula is none: they fill no slots");
        Require(d, d.NullExperts == 0 || d.Selection == Selection.TopK, "null_experts", "0, unless selection is top_k: only a token's best can be none");
    }

    static void CheckEntropy(Dialect d)
    {
        Require(d, d.KLeast >= 1, "k_least", "at least 1");
        if (d.Policy != Policy.Entropy && d.EvalPolicy != Policy.Entropy) return;
        Require(d, d is { Selection: Selection.TopK, ForceBalance: false },
            "policy", "another one, unless selection is top_k, whose last choices it leaves out");
        Require(d, d.Score == Score.Softmax, "policy", "another one, unless score is softmax: only a distribution has an entropy");
        Require(d, d.KLeast <= d.K, "k_least", $"at most k = {d.K}");
        Require(d, d.UpperThreshold > 0, "upper_threshold", "more than 0: no entropy is below");
        Require(d, d.Threshold <= d.UpperThreshold, "upper_threshold", $"at least threshold = {Named(d, "threshold")}");
    }

    static void CheckCapacity(Dialect d)
    {
        Require(d, !d.PadToCapacity || d.CapacityFormula != CapacityFormula.None, "pad_to_capacity", "false: there is no capacity to fill up to");
        Require(d, !d.BatchPrioritized || d.DropPolicy == DropPolicy.Position,
            "batch_prioritized", "false with this drop_policy: only positions have an order");
    }

    static void CheckGates(Dialect d)
    {
        Require(d, d.Gate != Gate.NearWinner || d.Selection == Selection.SparseMixer,
            "gate", "another one: only selection sparse_mixer says who is near");
        Require(d, d.Gate != Gate.RankedScore || d.Selection is Selection.TopK or Selection.ExhaustionAware,
            "gate", "score: only the best experts of a ranking have ranked scores");
        Require(d, d.Gate != Gate.Table || d.Selection is Selection.HashTable or Selection.PlaceTable,
            "gate", "another one: only selections hash_table and place_table have a table");
        Require(d, !d.SharedInGates || d.SharedExpert, "shared_in_gates", "false, or set shared_expert, whose gates they are");
        Require(d, !d.SharedInGates || d.Normalize == Normalize.Sum, "shared_in_gates", "false, unless normalize is sum: the sum holds both");
        Require(d, !d.SharedInGates || d.Score != Score.SoftmaxPost,
            "shared_in_gates", "false with score softmax_post, which leaves no score to shared experts");
        Require(d, !d.SharedInGates || d.Gate == Gate.Score, "shared_in_gates", "false, unless gate is score, which shared experts have too");
        CheckSharedChoice(d);
        Require(d, d.ApplyGateTo == GatePlace.Output || d.Combination != Combination.Interpolated,
            "apply_gate_to", "output: combination interpolated multiplies outputs");
        Require(d, d.ApplyGateTo == GatePlace.Output || d.DroppedOutput != DroppedOutput.CollidingSlot,
            "apply_gate_to", "output: with dropped_output colliding_slot a slot has no one gate");
    }

    static void CheckSharedChoice(Dialect d)
    {
        Require(d, d.SharedChoices >= 0, "shared_choices", "0 (none) or more");
        if (d.SharedChoices == 0) return;
        Require(d, d.SharedExpert && !d.SharedInGates && !d.SharedGate, "shared_choices", "0, or set shared_expert alone, which has no other gate");
        Require(d, d is { SharedCombination: SharedCombination.Sum, Combination: Combination.Gated },
            "shared_choices", "0, unless the shared expert is added to gated ones");
        Require(d, d is { Selection: Selection.TopK, Gate: Gate.Score },
            "shared_choices", "0, unless selection is top_k and gate score, whose sum it takes");
        Require(d, d.Normalize != Normalize.AfterDrop, "shared_choices", "0 with normalize after_drop: it is made before anybody is dropped");
        Require(d, d.ScalingFactor != 0, "shared_choices", "0 with scaling_factor 0, which it is divided by");
    }

    static void CheckExperts(Dialect d)
    {
        Require(d, d.GatedExperts || !d.Activation.IsLimited(), "activation", "another one, or set gated_experts");
        Require(d, !d.ExpertsInNorm || d.LatentExperts, "experts_in_norm", "false, or set latent_experts: it stands at their own width");
        Require(d, !d.ExpertsPostNorm || d.LatentExperts, "experts_post_norm", "false, or set latent_experts: it stands at their own width");
        Require(d, !d.LatentExperts || d.Combination == Combination.Gated,
            "latent_experts", $"false with combination {Named(d, "combination")}, which needs experts of the tokens' width");
        Require(d, !d.LatentExperts || d.DroppedOutput == DroppedOutput.Zero,
            "latent_experts", $"false with dropped_output {Named(d, "dropped_output")}, which needs experts of the tokens' width");
        Require(d, !d.LatentExperts || d.IdentityExperts == 0, "latent_experts", "false with identity_experts, which return what has the tokens' width");
        Require(d, d.Combination != Combination.MaskReadAsIndices || d.Selection == Selection.TopK,
            "combination", "gated, unless selection is top_k: the mask is that of a token's best experts");
        Require(d, d.Combination != Combination.MaskReadAsIndices || d.K == 2, "combination", "gated, unless k is 2: the mask is that of two choices");
    }

    static void CheckLosses(Dialect d)
    {
        Require(d, d.SequenceBalanceCoefficient == 0 || d.Balance == BalanceLoss.Product,
            "sequence_balance_coefficient", "0, unless balance is product, whose f and P it is made of");
        Require(d, d.GlobalBalanceCoefficient == 0 || d.Balance == BalanceLoss.Product,
            "global_balance_coefficient", "0, unless balance is product, whose f and P it is made of");
        Require(d, d.Loss != LossChoice.LoadImportance || d.Noise == LogitNoise.NormalPerExperts,
            "loss", "gshard, or set noise normal_per_experts, whose deviation the load loss is made of");
        Require(d, d.Load != LoadLoss.OneThreshold || d.Noise == LogitNoise.NormalPerExperts,
            "load", "another load loss, or set noise normal_per_experts, whose deviation it is made of");
        Require(d, d.LayerReduction != LayerReduction.Pooled || d.Selection != Selection.DynamicTopK,
            "layer_reduction", "sum or mean: with selection dynamic_top_k every layer has another number of choices");
        Require(d, !d.SecondPlaceLoss || d.Selection is Selection.TopK or Selection.ExhaustionAware,
            "second_place_loss", "false: only a ranking has second places");
        Require(d, d.TrainingExtra != TrainingExtra.Reinforce || d.Selection == Selection.PolicySample,
            "training_extra", "none, or selection policy_sample, whose one choice is rewarded");
    }

    /// <summary>What depends on the number of experts.</summary>
    public static void Check(Dialect d, int experts)
    {
        Check(d);
        var inside = experts / d.Groups;
        var repeats = d.Taken == Taken.Zeroed || (d.LaterBy ?? d.SelectBy) != d.SelectBy
            || d.Policy == Policy.Sample || d.Selection == Selection.ExhaustionAware;
        var asksFreely = d.Selection is Selection.ExpertChoice or Selection.HashTable or Selection.PlaceTable or Selection.SlotMixture;
        Require(d, d.K <= experts || asksFreely || repeats && d.K <= experts + 1,
            "k", $"at most the {experts} experts");
        Require(d, experts % d.Groups == 0, "groups", $"a divisor of the {experts} experts");
        if (d.Selection is Selection.TwoLevel or Selection.BestPartThenTopK) Require(d, d.K <= inside, "k", $"at most the {inside} experts of a group");
        if (d.Selection == Selection.TwoLevelCapacity)
        {
            Require(d, d.Groups >= 2, "groups", "at least 2");
            Require(d, inside >= 2, "groups", $"so few that each has at least 2 of the {experts} experts");
        }
        if (d.Selection == Selection.TopK && d.Groups > d.GroupsKept && d.GroupMask == GroupMask.MinusInfinity)
            Require(d, d.K <= inside * d.GroupsKept, "k", $"at most the {inside * d.GroupsKept} experts of the kept groups");
        if (d.Selection == Selection.OnePerPrototype || d.Score == Score.SoftmaxPerPrototype)
            Require(d, experts % d.K == 0, "k", $"a divisor of the {experts} experts");
        Require(d, d.NullExperts < experts, "null_experts", $"fewer than the {experts} experts");
        if (d.Router == RouterForm.ProductKeys) CheckKeys(d, experts);
        Require(d, d.IdentityExperts < experts, "identity_experts", $"fewer than the {experts} experts");
        if (d.Combination == Combination.MaskReadAsIndices) RequireTwo(d, experts, "the mask's 0 and 1 are read as experts");
        if (d.Selection == Selection.Auction) RequireTwo(d, experts, "the auction needs a second one to bid against");
    }

    /// <summary>The least number of experts, from the given one on, that the dialect can have: a square where two lists of keys name them.</summary>
    public static int Fitting(Dialect d, int experts)
    {
        if (d.Router != RouterForm.ProductKeys) return experts;
        var keys = d.ProductKeys > 0 ? d.ProductKeys : (int)Math.Ceiling(Math.Sqrt(experts));
        return keys * keys;
    }

    static void CheckKeys(Dialect d, int experts)
    {
        var keys = d.ProductKeys > 0 ? d.ProductKeys : (int)Math.Sqrt(experts);
        Require(d, keys * keys == experts, "product_keys", $"the root of the {experts} experts, and a square number of experts");
    }

    /// <summary>What runs but cannot learn; a recorded call may be like that, a new dialect and a training may not.</summary>
    public static void CheckTrainable(Dialect d)
    {
        var ranksOnly = d.Selection == Selection.TopK && d.Gate == Gate.Score && d.Load == LoadLoss.None;
        Require(d, !(ranksOnly && d.K == 1 && d.Score == Score.SoftmaxPost),
            "score", "softmax for k = 1: a softmax over one chosen logit is always 1 and the router learns nothing");
        Require(d, !(ranksOnly && d.K == 1 && d.Normalize is Normalize.Sum or Normalize.BeforeDrop && d.NormalizeSingle),
            "normalize", "none for k = 1: one gate over itself is always 1 and the router learns nothing");
    }

    static string Named(Dialect d, string axis) => DialectAxis.Find(axis)!.Format(d)!;

    static void Require(Dialect d, bool condition, string axis, string remedy)
    {
        if (!condition) throw Refused(d, axis, remedy);
    }

    static DialectException Refused(Dialect d, string axis, string remedy) => new($"{d.Name}: {axis} {Named(d, axis)}: choose {remedy}");

    static void RequireTwo(Dialect d, int experts, string why)
    {
        if (experts < 2) throw new DialectException($"{d.Name}: experts {experts}: choose at least 2: {why}");
    }
}
