namespace SparseExperts.Layers;

/// <summary>
/// What a Switch router does to its inputs or its choice (Mesh-TensorFlow moe.py, switch_policy_train / switch_policy_eval):
/// nothing; multiply inputs by U[1 − ε, 1 + ε] while training; drop inputs while training; or sample the expert by Gumbel-max.
/// </summary>
public enum RouterPolicy { Argmax, InputJitter, InputDropout, Sample }

/// <summary>A router's policy and its numbers: ε of the jitter, rate of the dropout, temperature of the sample.</summary>
public sealed record RouterPolicySettings(RouterPolicy Policy, double Jitter = 1e-2, double Dropout = 0.1, double Temperature = 1.0);
